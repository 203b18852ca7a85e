"""Messages of Flight SQL as bytes: protobuf in protobuf. What a driver would not send can be made
with them too.
"""

PREFIX = "type.googleapis.com/arrow.flight.protocol.sql."


def varint(number):
    """A number of protobuf's."""
    out = bytearray()
    while True:
        number, low = number >> 7, number & 0x7F
        out.append(low | (0x80 if number else 0))
        if not number:
            return bytes(out)


def field(number, value):
    """A field: a text, bytes, a number, or each of a list."""
    if value is None:
        return b""
    if isinstance(value, (list, tuple)):
        return b"".join(field(number, one) for one in value)
    if isinstance(value, int):
        return varint(number << 3) + varint(value & (2**64 - 1))
    value = value.encode() if isinstance(value, str) else bytes(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


def message(*values):
    """A message whose fields are 1, 2 and so on; None leaves one out."""
    return b"".join(field(number, value) for number, value in enumerate(values, 1))


def any_of(name, *values):
    """A message of Flight SQL's within `Any`, as commands, tickets and bodies of actions are."""
    return message(PREFIX + name, message(*values))


def fields(body):
    """The fields of a message: {number: [values]}, of those with a length and of numbers."""
    found, at = {}, 0

    def number():
        nonlocal at
        result = shift = 0
        while True:
            byte = body[at]
            at += 1
            result |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return result

    while at < len(body):
        key = number()
        if key & 7 == 0:
            value = number()
        elif key & 7 == 2:
            length = number()
            value, at = body[at : at + length], at + length
        else:
            raise ValueError(f"wire type {key & 7}")
        found.setdefault(key >> 3, []).append(value)
    return found


def unpacked(body):
    """The fields of the message within `Any`."""
    return fields(fields(body)[2][0])
