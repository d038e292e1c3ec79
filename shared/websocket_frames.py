"""The WebSocket wire format (RFC 6455, sections 5 and 7): bytes to frames and back, nothing else.

No socket, no clock, no role: a server passes ``masked=True`` (clients must mask), a client ``masked=False``.
"""

import base64
import hashlib
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum

MAX_CONTROL_BYTES = 125
DEFAULT_MAX_BYTES = 65_536
_ACCEPT_SUFFIX = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


class Opcode(IntEnum):
    CONTINUATION = 0x0
    TEXT = 0x1
    BINARY = 0x2
    CLOSE = 0x8
    PING = 0x9
    PONG = 0xA


class CloseCode(IntEnum):
    NORMAL = 1000
    GOING_AWAY = 1001
    PROTOCOL_ERROR = 1002
    NO_STATUS = 1005  # never sent: the peer's Close frame held no code
    ABNORMAL = 1006  # never sent: the connection ended without a Close frame
    INVALID_TEXT = 1007
    POLICY = 1008
    TOO_BIG = 1009
    INTERNAL_ERROR = 1011
    TRY_LATER = 1013


class ProtocolError(Exception):
    """The peer broke the protocol: answer with a Close frame of `close_code`, then end the connection."""

    def __init__(self, close_code: CloseCode, reason: str) -> None:
        super().__init__(reason)
        self.close_code = close_code
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Message:
    """One whole data message or control frame.

    `data` of TEXT is str (bytes with ``text_as_bytes``), of BINARY, PING and PONG bytes, of CLOSE the reason (str).
    `close_code` is set for CLOSE alone (1005 if the frame held none).
    """

    opcode: Opcode
    data: str | bytes
    close_code: int | None = None


def accept_key(key: str) -> str:
    """The `Sec-WebSocket-Accept` value that answers a `Sec-WebSocket-Key` (RFC 6455, 4.2.2)."""
    digest = hashlib.sha1(key.encode("ascii") + _ACCEPT_SUFFIX, usedforsecurity=False).digest()
    return base64.b64encode(digest).decode("ascii")


def encode_frame(
    opcode: int, payload: str | bytes, mask_key: bytes | None = None, *, final: bool = True
) -> bytes:
    """One frame, ready to send. A client must pass 4 random bytes as `mask_key`, a server none.

    Raises ValueError for a control frame that is fragmented or over 125 bytes, or a mask of another length.
    """
    data = payload.encode() if isinstance(payload, str) else payload
    size = len(data)
    if opcode >= Opcode.CLOSE and (size > MAX_CONTROL_BYTES or not final):
        raise ValueError("a control frame is one frame of at most 125 bytes")
    first = (0x80 if final else 0) | opcode
    mask_bit = 0 if mask_key is None else 0x80
    if size < 126:
        header = bytes((first, mask_bit | size))
    elif size < 65_536:
        header = struct.pack("!BBH", first, mask_bit | 126, size)
    else:
        header = struct.pack("!BBQ", first, mask_bit | 127, size)
    if mask_key is None:
        return header + data
    if len(mask_key) != 4:
        raise ValueError("a mask key has 4 bytes")
    return header + mask_key + apply_mask(data, mask_key)


def encode_close(code: int | None = CloseCode.NORMAL, reason: str = "", mask_key: bytes | None = None) -> bytes:
    """A Close frame; the reason is cut to what fits. `None`, 1005 and 1006 make one without a code."""
    if code in (None, CloseCode.NO_STATUS, CloseCode.ABNORMAL):
        return encode_frame(Opcode.CLOSE, b"", mask_key)
    text = reason.encode()[: MAX_CONTROL_BYTES - 2].decode(errors="ignore")
    return encode_frame(Opcode.CLOSE, struct.pack("!H", code) + text.encode(), mask_key)


def apply_mask(data: bytes, mask_key: bytes) -> bytes:
    """Mask or unmask. One big-integer XOR: a loop over bytes is about 100 times slower."""
    size = len(data)
    key = (mask_key * (size // 4 + 1))[:size]
    return (int.from_bytes(data, "little") ^ int.from_bytes(key, "little")).to_bytes(size, "little")


class FrameEdges:
    """Where frames begin in bytes that only pass by; what is in them is not looked at."""

    def __init__(self) -> None:
        self._left = 0  # bytes of the frame that is passing by
        self._head = b""  # of a frame whose head has not come whole

    @property
    def at_edge(self) -> bool:
        """Whether the next byte begins a frame."""
        return not self._left and not self._head

    def feed(self, data: bytes) -> None:
        """These have passed."""
        if self._head:
            data = self._head + data
        at, end = self._left, len(data)
        while end - at >= 2:
            length = data[at + 1]
            # Most frames of a server: short, or up to 65,535 bytes, and not masked. It takes a quarter of the time.
            if length < 126:
                at += 2 + length
                continue
            if length == 126 and end - at >= 4:
                at += 4 + (data[at + 2] << 8 | data[at + 3])
                continue
            wide = 2 if length & 0x7F == 126 else 8 if length & 0x7F == 127 else 0
            size = 2 + wide + (4 if length & 0x80 else 0)
            if end - at < size:
                break
            at += size + (int.from_bytes(data[at + 2 : at + 2 + wide]) if wide else length & 0x7F)
        self._left, self._head = max(0, at - end), data[at:]


class FrameParser:
    """Bytes in as they come, whole messages out, in the order of the wire.

    `masked`: True refuses unmasked frames, False masked ones, None takes both. Memory stays below
    `max_message_bytes` plus one chunk: a longer frame is refused by its header, before its payload is buffered.
    """

    def __init__(
        self,
        *,
        masked: bool | None = None,
        max_message_bytes: int = DEFAULT_MAX_BYTES,
        max_frame_bytes: int | None = None,
        text_as_bytes: bool = False,
    ) -> None:
        self._masked = masked
        self._max_message_bytes = max_message_bytes
        frame_bound = max_message_bytes if max_frame_bytes is None else max_frame_bytes
        self._max_frame_bytes = min(max_message_bytes, frame_bound)
        self._text_as_bytes = text_as_bytes
        self._buffer = bytearray()
        self._fragments = bytearray()
        self.fragmented: Opcode | None = None  # of the message that has begun and not ended
        self._closed = False
        self._error: ProtocolError | None = None

    def feed(self, data: bytes | bytearray | memoryview) -> Iterator[Message]:
        """Take `data`; yield each message that it completes.

        Raises ProtocolError while iterating, after the messages before the fault, and again on each later call.
        What follows a Close frame is dropped. Messages left unread come first from the next call.
        """
        if not self._closed:
            self._buffer += data
        return self._messages()

    def _messages(self) -> Iterator[Message]:
        if self._error is not None:
            raise self._error
        try:
            while not self._closed:
                message = self._next()
                if message is None:
                    return
                if message.opcode is Opcode.CLOSE:
                    self._end()
                yield message
        except ProtocolError as error:
            self._error = error
            self._end()
            raise

    def _end(self) -> None:
        self._closed = True
        self._buffer.clear()
        self._fragments.clear()

    def _next(self) -> Message | None:
        while (frame := self._take_frame()) is not None:
            opcode, final, payload = frame
            if opcode >= Opcode.CLOSE:
                return _control_message(opcode, payload)
            message = self._join(opcode, final, payload)
            if message is not None:
                return message
        return None

    def _take_frame(self) -> tuple[Opcode, bool, bytes] | None:
        buffer = self._buffer
        if len(buffer) < 2:
            return None
        first, second = buffer[0], buffer[1]
        opcode, final, is_masked, size = self._check_header(first, second)
        offset = 2
        if size == 126:
            offset = 4
            if len(buffer) < offset:
                return None
            size = int.from_bytes(buffer[2:4], "big")
            if size < 126:
                raise ProtocolError(CloseCode.PROTOCOL_ERROR, "length not in its shortest form")
        elif size == 127:
            offset = 10
            if len(buffer) < offset:
                return None
            size = int.from_bytes(buffer[2:10], "big")
            if size < 65_536 or size >> 63:
                raise ProtocolError(CloseCode.PROTOCOL_ERROR, "length not in its shortest form")
        if size > self._max_frame_bytes and opcode < Opcode.CLOSE:
            raise ProtocolError(CloseCode.TOO_BIG, f"a frame may hold {self._max_frame_bytes} bytes")
        start = offset + 4 if is_masked else offset
        end = start + size
        if len(buffer) < end:
            return None
        payload = bytes(buffer[start:end])
        if is_masked:
            payload = apply_mask(payload, bytes(buffer[offset:start]))
        del buffer[:end]
        return opcode, final, payload

    def _check_header(self, first: int, second: int) -> tuple[Opcode, bool, bool, int]:
        if first & 0x70:
            raise ProtocolError(CloseCode.PROTOCOL_ERROR, "reserved bits set without an extension")
        try:
            opcode = Opcode(first & 0x0F)
        except ValueError:
            raise ProtocolError(CloseCode.PROTOCOL_ERROR, "unknown opcode") from None
        final, is_masked, size = bool(first & 0x80), bool(second & 0x80), second & 0x7F
        if opcode >= Opcode.CLOSE and (size > MAX_CONTROL_BYTES or not final):
            raise ProtocolError(CloseCode.PROTOCOL_ERROR, "a control frame is one frame of at most 125 bytes")
        if self._masked is not None and is_masked is not self._masked:
            expected = "masked" if self._masked else "unmasked"
            raise ProtocolError(CloseCode.PROTOCOL_ERROR, f"frames must be {expected}")
        return opcode, final, is_masked, size

    def _join(self, opcode: Opcode, final: bool, payload: bytes) -> Message | None:
        if opcode is Opcode.CONTINUATION:
            if self.fragmented is None:
                raise ProtocolError(CloseCode.PROTOCOL_ERROR, "a continuation without a beginning")
        elif self.fragmented is not None:
            raise ProtocolError(CloseCode.PROTOCOL_ERROR, "a new message inside a fragmented one")
        elif final:
            return self._data_message(opcode, payload)
        else:
            self.fragmented = opcode
        if len(self._fragments) + len(payload) > self._max_message_bytes:
            raise ProtocolError(CloseCode.TOO_BIG, f"a message may hold {self._max_message_bytes} bytes")
        self._fragments += payload
        if not final:
            return None
        whole, kind = bytes(self._fragments), self.fragmented
        self._fragments.clear()
        self.fragmented = None
        return self._data_message(kind, whole)

    def _data_message(self, opcode: Opcode, payload: bytes) -> Message:
        if opcode is Opcode.BINARY:
            return Message(opcode, payload)
        if self._text_as_bytes and payload.isascii():
            return Message(opcode, payload)
        text = _decode(payload)
        return Message(opcode, payload if self._text_as_bytes else text)


def _control_message(opcode: Opcode, payload: bytes) -> Message:
    if opcode is not Opcode.CLOSE:
        return Message(opcode, payload)
    if not payload:
        return Message(opcode, "", CloseCode.NO_STATUS)
    code = int.from_bytes(payload[:2], "big")
    # RFC 6455 7.4 and the IANA registry: 1004-1006 and 1015 are never on the wire, 1016-2999 is unassigned.
    if len(payload) < 2 or not (1000 <= code <= 1003 or 1007 <= code <= 1014 or 3000 <= code <= 4999):
        raise ProtocolError(CloseCode.PROTOCOL_ERROR, "invalid close code")
    return Message(opcode, _decode(payload[2:]), code)


def _decode(payload: bytes) -> str:
    try:
        return payload.decode()
    except UnicodeDecodeError:
        raise ProtocolError(CloseCode.INVALID_TEXT, "text is not UTF-8") from None
