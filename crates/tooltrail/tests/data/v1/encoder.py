"""The line of version 1, written a second time from docs/format.md with Python's standard library only.

Reads rows {"name", "received", "via", "user", "bits", "salt"} from standard input and prints each with the finished
"line". It does not redact: rows hold no secrets, only marks that stand there already.
"""

import base64
import datetime
import json
import re
import sys
import uuid

OWN = ("ts user tool args status result result_chars result_snippet error duration_ms reason session call_id parent agent "
       "model client server trace_id span_id id extra").split()
REASONS = ("tool_error protocol_error invalid_args unknown_tool timeout cancelled panicked interrupted policy user_refused "
           "hook rate_limited").split()
MARK = re.compile(r"\[redacted:[a-z0-9-]{1,40}(?::[0-9]+\.[0-9a-f]{16})?\]")
ESCAPED = re.compile('["\\\\\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]')
SHORT = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}


class Number(str):
    """A number's digits as received."""


class Unfaithful(Exception):
    """Duplicate keys or lone surrogates."""


def pairs(members):
    if len({key for key, _ in members}) != len(members):
        raise Unfaithful
    return dict(members)


def load(text):
    value = json.loads(text, parse_int=Number, parse_float=Number, object_pairs_hook=pairs)
    if any(0xD800 <= ord(c) <= 0xDFFF for c in texts(value)):
        raise Unfaithful
    return value


def texts(value):
    if isinstance(value, dict):
        for key, member in value.items():
            yield from key
            yield from texts(member)
    elif isinstance(value, list):
        for element in value:
            yield from texts(element)
    elif isinstance(value, str):
        yield from value


def quote(text):
    return '"' + ESCAPED.sub(lambda m: SHORT.get(m[0]) or "\\u%04x" % ord(m[0]), text) + '"'


def compact(value):
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Number):
        return str(value)
    if isinstance(value, str):
        return quote(value)
    if isinstance(value, list):
        return "[" + ",".join(map(compact, value)) + "]"
    return "{" + ",".join(quote(k) + ":" + compact(v) for k, v in value.items()) + "}"


def cut(text, limit):
    at = limit
    for mark in MARK.finditer(text):
        if mark.start() < limit < mark.end():
            at = mark.start()
    return text[:at]


def clip_text(text, limit, chars=None):
    if len(text) <= limit and chars is None:
        return text
    return cut(text, limit) + " …[%d chars total]" % (len(text) if chars is None else chars)


def unlike(key, earlier):
    n, new = 2, key
    while new in earlier:
        n, new = n + 1, "%s#%d" % (key, n)
    return new


def clip(value, level=1):
    """Clips a value; containers are level 1 at the args themselves."""
    if isinstance(value, (dict, list)) and level > 64:
        return clip_text(compact(value), 500)
    if isinstance(value, dict):
        clipped = {}
        for key, member in list(value.items())[:1000]:
            clipped[unlike(clip_text(key, 200), clipped)] = clip(member, level + 1)
        if len(value) > 1000:
            clipped[unlike(" …[%d members total]" % len(value), clipped)] = True
        return clipped
    if isinstance(value, list):
        kept = [clip(element, level + 1) for element in value[:1000]]
        return kept + ([" …[%d members total]" % len(value)] if len(value) > 1000 else [])
    if isinstance(value, str) and not isinstance(value, Number):
        return clip_text(value, 500)
    return value


def structure(text, bytes_max):
    """Args or extra as received: the clipped object's JSON, and the short text it gives way to."""
    if text is None or text.strip() == "null":
        return "{}", "{}"
    try:
        value = load(text)
        value = value if isinstance(value, dict) else {"value": value}
    except Unfaithful:
        value = {"raw": text}
    whole = compact(clip(value))
    short = compact({"clipped": clip_text(compact(value), 500, len(text))})
    return (whole if len(whole.encode()) <= bytes_max else short), short


def raw_members(text):
    """The members of the top level, values as they stand."""
    decoder, at, members = json.JSONDecoder(), text.index("{") + 1, []
    blank = re.compile(r"[ \t\n\r]*")
    at = blank.match(text, at).end()
    while text[at] != "}":
        key, at = json.decoder.scanstring(text, at + 1)
        at = blank.match(text, text.index(":", at) + 1).end()
        _, end = decoder.raw_decode(text, at)
        members.append((key, text[at:end]))
        at = blank.match(text, end).end()
        if text[at] == ",":
            at = blank.match(text, at + 1).end()
    return members


def instant(text):
    text = text.replace("Z", "+00:00").replace("z", "+00:00")
    text = re.sub(r"\.(\d{1,6})\d*", lambda m: "." + m[1].ljust(6, "0"), text)
    ts = datetime.datetime.fromisoformat(text)
    return (ts if ts.tzinfo else ts.replace(tzinfo=datetime.timezone.utc)).astimezone(datetime.timezone.utc)


def entry_id(millis, bits):
    wide = int(bits, 16) >> 6
    return str(uuid.UUID(int=millis << 80 | 7 << 76 | wide >> 62 << 64 | 2 << 62 | wide & (1 << 62) - 1))


def encode(row):
    raw = [(k, v) for k, v in raw_members(row["received"]) if v != "null"]
    got = {k: json.loads(v, parse_int=Number, parse_float=Number) for k, v in raw if k not in ("args", "extra", "result")}
    extra = []
    for key, value in raw:
        if key == "extra":
            for k, v in raw_members(value):
                if v != "null":
                    extra.append((unlike(k, dict(extra)), v))
        elif (key not in OWN or key == "reason" and got[key] not in REASONS
              or key == "duration_ms" and value.startswith("-")
              or key == "trace_id" and not re.fullmatch("[0-9a-f]{32}", got[key])
              or key == "span_id" and not re.fullmatch("[0-9a-f]{16}", got[key])):
            extra.append((unlike(key, dict(extra)), value))
    # Ids that are none come after what else was received.
    extra.sort(key=lambda member: member[0] in ("trace_id", "span_id"))
    unusable = {key for key, _ in extra}
    args, short_args = structure(dict(raw).get("args"), 48 * 1024)
    extra_text, short_extra = (None, None)
    if extra:
        extra_text, short_extra = structure("{" + ",".join(quote(k) + ":" + v for k, v in extra) + "}", 4 * 1024)
    result = dict(raw).get("result")
    if result is not None:
        try:
            value = load(result)
            result = value if isinstance(value, str) and not isinstance(value, Number) else compact(value)
        except Unfaithful:
            pass
    chars = len(result if result is not None else got.get("error", ""))
    snippet = got.get("error") or result or ""
    if "result_snippet" in got:
        chars, snippet = int(got["result_chars"]), got["result_snippet"]
    ts = instant(got["ts"])
    millis = int(ts.replace(microsecond=0).timestamp()) * 1000 + ts.microsecond // 1000

    def field(name):
        return None if name not in got or name in unusable else quote(clip_text(got[name], 200))

    reason = got.get("reason") if "reason" not in unusable else None
    head = [
        ("ts", quote(ts.strftime("%Y-%m-%dT%H:%M:%S") + ".%03dZ" % (ts.microsecond // 1000))),
        ("user", quote(clip_text(got.get("user") or "unknown", 200))),
        ("tool", field("tool")),
        ("args", args),
        ("status", quote(got.get("status", "error"))),
        ("result_chars", str(chars)),
        ("result_snippet", quote(cut(snippet, 300) if len(snippet) > 300 else snippet)),
        ("id", quote(got["id"] if "result_snippet" in got and "id" in got else entry_id(millis, row["bits"]))),
        ("duration_ms", None if "duration_ms" in unusable or "duration_ms" not in got else str(got["duration_ms"])),
        ("reason", quote(reason) if reason else (None if "status" in got else '"interrupted"')),
        *((name, field(name)) for name in "session call_id parent agent model client server".split()),
        ("via", quote(row["via"])),
    ]
    tail = [("trace_id", field("trace_id")), ("span_id", field("span_id")), ("extra", extra_text)]
    salt = base64.urlsafe_b64encode(bytes.fromhex(row["salt"])).decode().rstrip("=")

    def line(head, tail):
        parts = [[quote(k) + ":" + v for k, v in part if v is not None] for part in (head, tail)]
        marks = sum(len(MARK.findall(part)) for part in parts[0] + parts[1])
        parts[0] += ['"redacted":%d' % marks] if marks else []
        return "{" + ",".join(parts[0] + parts[1] + ['"salt":' + quote(salt)]) + "}\n"

    done = line(head, tail)
    if len(done.encode()) > 65536 and extra:
        tail[2] = ("extra", short_extra)
        done = line(head, tail)
    if len(done.encode()) > 65536:
        head[3] = ("args", short_args)
        done = line(head, tail)
    return done


if __name__ == "__main__":
    for row in map(json.loads, sys.stdin):
        print(json.dumps({**row, "line": encode(row)}))
