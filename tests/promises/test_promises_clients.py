"""The clients of the load tests count what they get: held against streams that lose, repeat and swap on purpose."""

import pytest
from promises_clients import Client
from promises_counting import PERFECT, Report


def frame(text: bytes) -> bytes:
    """A short text frame as a server sends it."""
    return bytes((0x81, len(text))) + text


def frames(*numbers: int) -> bytes:
    return b"".join(
        frame(b'{"type":"log","data":{"id":"id-%d","message":"line %d "}}' % (number, number))
        for number in numbers
    )


@pytest.mark.parametrize(
    ("numbers", "report"),
    [
        ((3, 4, 5, 6), PERFECT),
        ((3, 5, 6), Report(missing=1)),
        ((3, 4, 5), Report(missing=1)),
        ((3, 4, 4, 5, 6), Report(repeated=1)),
        ((3, 5, 4, 6), Report(out_of_order=1)),
    ],
)
@pytest.mark.parametrize("piece", [1, 50, 10_000])
def test_a_client_of_these_loads_tells_what_is_missing_repeated_and_out_of_order(
    numbers: tuple[int, ...], report: Report, piece: int
) -> None:
    client = Client(b"")
    data = b"HTTP/1.1 101 Switching Protocols\r\n\r\n" + frames(*numbers)

    for start in range(0, len(data), piece):
        client.data_received(data[start : start + piece])

    assert report == client.life.report(6)
    assert f"id-{numbers[-1]}" == client.life.last_id
