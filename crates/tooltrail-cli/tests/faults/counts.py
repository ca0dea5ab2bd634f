"""What nobody waits for is in the trail or counted in a gap, to the entry.

The service records each read and waits for none of those records: they are the calls by `record`.
"""

from place import Broken, wait


class Reads:
    """Questions, each another one."""

    def __init__(self):
        self.asked = self.answered = 0

    def ask(self, service, times):
        for _ in range(times):
            self.asked += 1
            target = f"/api/audit/recent?user=bob&limit=1&q=session%3Dread-{self.asked}"
            self.answered += service.ask("GET", target)[0] == 200

    def check(self, stored, late=0):
        """Each answered question is an entry, or one of those that the gaps count.

        A question that got an error may be recorded too, and so may what senders gave up (`late`) be counted.
        """
        reads = sum(
            1 for _, found in stored if found["tool"] == "tooltrail.read" and "=read-" in found["args"]["query"]
        )
        gaps = [
            found["args"] for _, found in stored if found["tool"] == "tooltrail.gap" and found["via"] == "tooltrail"
        ]
        lost = sum(gap["lost"] for gap in gaps)
        if any(sum(gap["why"].values()) != gap["lost"] for gap in gaps):
            raise Broken(f"a gap's reasons do not add up: {gaps}")
        if not self.answered <= reads + lost <= self.asked + late:
            raise Broken(
                f"{self.answered} of {self.asked} questions were answered, {reads} are recorded and {lost} counted as "
                f"lost; senders gave up {late} entries"
            )
        return {"recorded": reads, "in gaps": lost}


def healed(service, within, why):
    """Waits until the service says of itself that all is well."""

    def is_well():
        return service.is_ready() and service.metric("tooltrail_writer_in_trouble") == 0

    wait(is_well, within, lambda: f"it does not heal after {why}: {service.log()}", pause=0.1)
