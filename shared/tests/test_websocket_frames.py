"""The WebSocket codec: what RFC 6455 allows comes through whole, what it forbids ends with the right code."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.websocket_frames import (
    FrameEdges,
    FrameParser,
    Message,
    Opcode,
    ProtocolError,
    accept_key,
    apply_mask,
    encode_close,
    encode_frame,
)

pytestmark = pytest.mark.unit
MASK = b"\x01\x02\x03\x04"


def parse(data: bytes) -> list[Message]:
    return list(FrameParser().feed(data))


def error_code(data: bytes, **options: object) -> int:
    with pytest.raises(ProtocolError) as caught:
        list(FrameParser(**options).feed(data))  # type: ignore[arg-type]  # options vary per case
    return int(caught.value.close_code)


def test_accept_key_is_the_example_of_the_rfc() -> None:
    assert accept_key("dGhlIHNhbXBsZSBub25jZQ==") == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="


def test_frames_are_the_examples_of_the_rfc() -> None:
    assert encode_frame(Opcode.TEXT, "Hello") == bytes.fromhex("810548656c6c6f")
    masked = encode_frame(Opcode.TEXT, "Hello", bytes.fromhex("37fa213d"))
    assert masked == bytes.fromhex("818537fa213d7f9f4d5158")
    assert encode_frame(Opcode.BINARY, bytes(256))[:4] == bytes.fromhex("827e0100")
    assert encode_frame(Opcode.BINARY, bytes(65_536))[:10] == bytes.fromhex("827f0000000000010000")


@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 65_535, 65_536, 70_000])
@pytest.mark.parametrize("mask", [None, MASK])
def test_every_length_form_comes_back_byte_by_byte(size: int, mask: bytes | None) -> None:
    payload = bytes(i % 251 for i in range(size))
    parser = FrameParser(max_message_bytes=100_000)
    frame = encode_frame(Opcode.BINARY, payload, mask)
    found = [message for i in range(0, len(frame), 997) for message in parser.feed(frame[i : i + 997])]
    assert found == [Message(Opcode.BINARY, payload)]


@given(
    texts=st.lists(st.text(max_size=300), min_size=1, max_size=6),
    cuts=st.lists(st.integers(1, 50), min_size=1, max_size=20),
    mask=st.binary(min_size=4, max_size=4) | st.none(),
)
def test_messages_do_not_depend_on_how_the_bytes_are_cut(
    texts: list[str], cuts: list[int], mask: bytes | None
) -> None:
    wire = b"".join(encode_frame(Opcode.TEXT, text, mask) for text in texts)
    parser, at = FrameParser(), 0
    found: list[str | bytes] = []
    while at < len(wire):
        step = cuts[len(found) % len(cuts)]
        found += [message.data for message in parser.feed(wire[at : at + step])]
        at += step
    assert found == texts


@given(st.lists(st.binary(max_size=200), max_size=10))
def test_arbitrary_bytes_end_in_messages_or_a_protocol_error(chunks: list[bytes]) -> None:
    parser = FrameParser(max_message_bytes=500)
    codes: set[int] = set()
    for chunk in chunks:
        try:
            assert all(isinstance(message, Message) for message in parser.feed(chunk))
        except ProtocolError as error:
            codes.add(error.close_code)
    assert codes <= {1002, 1007, 1009}


@given(st.binary(max_size=500), st.binary(min_size=4, max_size=4))
def test_masking_twice_gives_the_data_back(data: bytes, key: bytes) -> None:
    masked = apply_mask(data, key)
    assert masked == bytes(b ^ key[i % 4] for i, b in enumerate(data))
    assert apply_mask(masked, key) == data


def test_control_frames_come_between_the_fragments_of_a_message() -> None:
    wire = (
        encode_frame(Opcode.TEXT, "ü".encode()[:1], final=False)
        + encode_frame(Opcode.PING, b"p")
        + encode_frame(Opcode.CONTINUATION, b"", final=False)
        + encode_frame(Opcode.PONG, b"q")
        + encode_frame(Opcode.CONTINUATION, "ü".encode()[1:])
    )
    assert parse(wire) == [
        Message(Opcode.PING, b"p"),
        Message(Opcode.PONG, b"q"),
        Message(Opcode.TEXT, "ü"),
    ]


def test_close_carries_code_and_reason_and_ends_the_stream() -> None:
    wire = encode_close(1001, "bye") + encode_frame(Opcode.TEXT, "late")
    parser = FrameParser()
    assert list(parser.feed(wire)) == [Message(Opcode.CLOSE, "bye", 1001)]
    assert list(parser.feed(b"\xff\xff")) == []
    assert parse(encode_close(None)) == [Message(Opcode.CLOSE, "", 1005)]


def test_a_long_close_reason_is_cut_between_characters() -> None:
    (message,) = parse(encode_close(1000, "ü" * 100))
    assert message.data == "ü" * 61


def test_messages_before_a_fault_are_delivered_and_the_fault_stays() -> None:
    parser = FrameParser()
    messages = parser.feed(encode_frame(Opcode.TEXT, "good") + b"\xf1\x00")
    assert next(messages).data == "good"
    with pytest.raises(ProtocolError):
        next(messages)
    with pytest.raises(ProtocolError):
        list(parser.feed(encode_frame(Opcode.TEXT, "never")))


def test_messages_left_unread_come_with_the_next_bytes() -> None:
    parser = FrameParser()
    first = next(parser.feed(encode_frame(Opcode.TEXT, "a") + encode_frame(Opcode.TEXT, "b")))
    assert [first.data, *(message.data for message in parser.feed(b""))] == ["a", "b"]


@pytest.mark.parametrize(
    ("wire", "code"),
    [
        pytest.param(b"\xc1\x00", 1002, id="reserved bit"),
        pytest.param(b"\x83\x00", 1002, id="reserved data opcode"),
        pytest.param(b"\x8b\x00", 1002, id="reserved control opcode"),
        pytest.param(b"\x09\x00", 1002, id="fragmented ping"),
        pytest.param(b"\x89\x7e\x00\x7e", 1002, id="ping over 125 bytes"),
        pytest.param(b"\x82\x7e\x00\x05", 1002, id="two-byte length for a short frame"),
        pytest.param(b"\x82\x7f" + struct.pack("!Q", 65_535), 1002, id="eight-byte length for a short frame"),
        pytest.param(b"\x82\x7f\x80" + bytes(7), 1002, id="length with its highest bit set"),
        pytest.param(encode_frame(0, b"x"), 1002, id="continuation without beginning"),
        pytest.param(
            encode_frame(1, b"a", final=False) + encode_frame(1, b"b"), 1002, id="message inside a message"
        ),
        pytest.param(b"\x88\x01\x03", 1002, id="close with one byte"),
        pytest.param(b"\x88\x02" + struct.pack("!H", 1005), 1002, id="close code 1005 on the wire"),
        pytest.param(b"\x88\x02" + struct.pack("!H", 2999), 1002, id="unassigned close code"),
        pytest.param(b"\x88\x03\x03\xe8\xff", 1007, id="close reason not UTF-8"),
        pytest.param(encode_frame(1, b"\xed\xa0\x80"), 1007, id="surrogate in text"),
    ],
)
def test_what_the_rfc_forbids_is_refused_with_its_code(wire: bytes, code: int) -> None:
    assert error_code(wire) == code


def test_the_mask_rule_follows_the_role() -> None:
    assert error_code(encode_frame(1, b"x"), masked=True) == 1002
    assert error_code(encode_frame(1, b"x", MASK), masked=False) == 1002


def test_a_frame_over_the_bound_is_refused_by_its_header_alone() -> None:
    assert error_code(b"\x82\x7f" + struct.pack("!Q", 1 << 40)) == 1009
    assert error_code(b"\x82\x7e" + struct.pack("!H", 1001), max_message_bytes=1000) == 1009


def test_a_message_over_the_bound_is_refused_though_its_frames_are_short() -> None:
    wire = encode_frame(2, bytes(600), final=False) + encode_frame(0, bytes(600))
    assert error_code(wire, max_message_bytes=1000) == 1009


def test_text_as_bytes_is_still_checked() -> None:
    parser = FrameParser(text_as_bytes=True)
    assert list(parser.feed(encode_frame(1, "é"))) == [Message(Opcode.TEXT, "é".encode())]
    assert error_code(encode_frame(1, b"\xff"), text_as_bytes=True) == 1007


def test_encoding_refuses_what_no_peer_may_send() -> None:
    with pytest.raises(ValueError):
        encode_frame(Opcode.PING, bytes(126))
    with pytest.raises(ValueError):
        encode_frame(Opcode.PING, b"", final=False)
    with pytest.raises(ValueError):
        encode_frame(Opcode.TEXT, b"", b"123")


@given(
    st.lists(st.tuples(st.sampled_from([0, 1, 125, 126, 127, 300, 65_535, 65_536]), st.booleans()), max_size=5),
    st.lists(st.integers(0, 140_000), max_size=8),
)
def test_the_edges_of_frames_are_known_however_they_are_cut(frames: list[tuple[int, bool]], cuts: list[int]) -> None:
    edges, whole, begins = FrameEdges(), b"", {0}
    for size, masked in frames:
        whole += encode_frame(Opcode.BINARY, bytes(size), MASK if masked else None)
        begins.add(len(whole))
    assert edges.at_edge
    at = 0
    for cut in [*sorted(cut for cut in cuts if cut <= len(whole)), *sorted(begins), len(whole)]:
        if cut >= at:
            edges.feed(whole[at:cut])
            at = cut
            assert edges.at_edge == (at in begins)
