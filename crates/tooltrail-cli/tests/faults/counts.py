"""Checks that each entry without a waiting caller is in the trail or counted in a gap.

The service records each read with `record`, and it does not wait for these entries.
"""

from place import Broken, wait


class Reads:
    """Asks different questions and counts them."""

    def __init__(self):
        self.asked = self.answered = 0

    def ask(self, service, times):
        for _ in range(times):
            self.asked += 1
            target = f"/api/audit/recent?user=bob&limit=1&q=session%3Dread-{self.asked}"
            self.answered += service.ask("GET", target)[0] == 200

    def check(self, stored, late=0):
        """Checks that each answered question is an entry or is counted in a gap.

        A question that got an error may be recorded too, and gaps may count entries that senders gave up (`late`).
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
    """Waits until /readyz and /metrics show no trouble."""

    def is_well():
        return service.is_ready() and service.metric("tooltrail_writer_in_trouble") == 0

    wait(is_well, within, lambda: f"it does not heal after {why}: {service.log()}", pause=0.1)
