"""The fast reader says what the parser says, whatever comes and however it is cut."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.websocket_frames import FrameParser, Message, Opcode, ProtocolError, encode_close, encode_frame
from shared.websocket_reader import READ_BYTES, FrameReader

BOUND = 300_000


class Wire:
    """A socket that gives its bytes in the given pieces."""

    def __init__(self, pieces: list[bytes]) -> None:
        self._pieces = list(pieces)

    def recv(self, size: int, /) -> bytes:
        piece = self._pieces.pop(0) if self._pieces else b""
        if size < len(piece):
            self._pieces.insert(0, piece[size:])
        return piece[:size]


Found = tuple[list[bytes], list[Message], list[int]]  # texts, others, the code of the error if there was one


def read(pieces: list[bytes]) -> Found:
    reader, wire = FrameReader(BOUND), Wire(pieces)
    texts: list[bytes] = []
    try:
        while (messages := reader.receive(wire)) is not None:
            texts += messages
            if any(message.opcode is Opcode.CLOSE for message in reader.others):
                break
        reader.receive(Wire([]))  # a fault shows with the call after the messages before it
    except ProtocolError as error:
        return texts, reader.others, [error.close_code]
    return texts, reader.others, []


def parse(pieces: list[bytes]) -> Found:
    parser = FrameParser(masked=False, max_message_bytes=BOUND, text_as_bytes=True)
    texts: list[bytes] = []
    others: list[Message] = []
    try:
        for piece in pieces:
            for message in parser.feed(piece):
                if message.opcode is Opcode.TEXT and isinstance(message.data, bytes):
                    texts.append(message.data)
                else:
                    others.append(message)
    except ProtocolError as error:
        return texts, others, [error.close_code]
    return texts, others, []


def cut(wire: bytes, size: int) -> list[bytes]:
    return [wire[at : at + size] for at in range(0, len(wire), size)]


SIZES = st.one_of(st.integers(0, 200), st.sampled_from([125, 126, 127, 65_535, 65_536, 200_000]))
FRAMES = st.one_of(
    st.builds(lambda size: encode_frame(Opcode.TEXT, b"x" * size), SIZES),
    st.builds(lambda text: encode_frame(Opcode.TEXT, text), st.text(max_size=50)),
    st.builds(lambda data: encode_frame(Opcode.BINARY, data), st.binary(max_size=50)),
    st.builds(lambda data: encode_frame(Opcode.PING, data), st.binary(max_size=50)),
    st.builds(lambda a, b: encode_frame(Opcode.TEXT, a, final=False) + encode_frame(Opcode.PING, b"")
              + encode_frame(Opcode.CONTINUATION, b), st.text(max_size=9), st.text(max_size=9)),
    st.just(encode_close(1001, "bye")),
    st.just(encode_frame(Opcode.TEXT, b"\xff")),
    st.just(encode_frame(Opcode.TEXT, b"x", b"mask")),
    st.just(b"\x81\x7e\x00\x05hello"),
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(st.lists(FRAMES, max_size=8), st.sampled_from([1, 3, 1000, READ_BYTES, 10**9]))
def test_it_reads_what_the_parser_reads(frames: list[bytes], size: int) -> None:
    close = next((at for at, frame in enumerate(frames) if frame[0] == 0x88), len(frames))
    wire = b"".join(frames[: close + 1])
    pieces = cut(wire, max(size, len(wire) // 2000 or 1))
    assert read(pieces) == parse(pieces)


@given(st.lists(st.binary(min_size=1, max_size=20), max_size=20))
def test_arbitrary_bytes_end_in_messages_or_a_protocol_error(pieces: list[bytes]) -> None:
    ours, theirs = read(pieces), parse(pieces)
    assert ours[:2] == theirs[:2]
    # The parser refuses a bad frame by its header, the reader may wait for the rest of it.
    assert ours[2] == theirs[2] or ours[2] == []


def test_a_flood_of_frames_is_read_whole() -> None:
    wire = b"".join(encode_frame(Opcode.TEXT, b"%0500d" % number) for number in range(2000))
    texts, _, _ = read(cut(wire, READ_BYTES))
    assert [int(text) for text in texts] == list(range(2000))


def test_a_frame_over_the_bound_is_refused_by_its_header() -> None:
    reader = FrameReader(1000)
    with pytest.raises(ProtocolError):
        reader.receive(Wire([encode_frame(Opcode.TEXT, b"x" * 70_000)[:10]]))
