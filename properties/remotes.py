"""Remote jobs to draw: good properties, wrong ones, and the values that they become."""

from typing import Any

from hypothesis import strategies as st

from kala_trio.core.definition import Remote

_NAMES = ["a", "example.com", "EXAMPLE.com.", "a_b-c.1a", "127.0.0.1", "[::1]", "[FE80::1:2]"]
_PATH = st.text("aZ09-._~!$&'()*+,;=:@/", max_size=8)
_QUERY = st.text("aZ09-._~!$&'()*+,;=:@/?", max_size=8)


@st.composite
def urls(draw: st.DrawFn) -> str:
    """Draw a URL that is accepted."""
    host = draw(st.sampled_from(_NAMES))
    port = draw(st.just("") | st.integers(1, 65_535).map(lambda port: f":{port}"))
    path = draw(st.just("") | _PATH.map(lambda path: f"/{path}%2F"))
    query = draw(st.just("") | _QUERY.map(lambda query: f"?{query}"))
    fragment = draw(st.sampled_from(["", "#", "#a"]))
    return (
        draw(st.sampled_from(["http", "https", "HTTPS"]))
        + f"://{host}{port}{path}{query}{fragment}"
    )


_VALUES = st.text("".join(map(chr, range(32, 127))) + "\t", max_size=8).map(str.strip)
_HEADER_NAMES = st.sampled_from(["Accept", "x-api-key", "Authorization", "!#$%&'*+.^_`|~-9a"])

headers: st.SearchStrategy[dict[str, list[str]]] = st.dictionaries(
    _HEADER_NAMES, st.lists(_VALUES, max_size=2), max_size=3
)
_METHODS = st.sampled_from(["", "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
_BODIES = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
_TIMEOUTS = st.sampled_from([0, 1, 0.5, 86_400])
_CODES = st.lists(st.integers(100, 599), unique=True, min_size=1, max_size=3)

GOOD_PROPERTIES: dict[str, st.SearchStrategy[Any]] = {
    "url": urls(),
    "method": _METHODS,
    "headers": st.none() | headers.filter(bool),
    "body": _BODIES,
    "timeout": _TIMEOUTS,
    "expected_response_codes": st.none() | _CODES,
}
"""Of each property values as an answer shows them."""

NOT_REMOTE = {
    "url": "",
    "method": "",
    "body": "",
    "headers": None,
    "timeout": 0,
    "expected_response_codes": None,
}
"""What Kala shows for a job that is not remote."""

remote_properties = st.fixed_dictionaries(
    GOOD_PROPERTIES, optional={"follow_redirects": st.just(True)}
)

NEARLY_PROPERTIES: dict[str, list[Any]] = {
    "url": [
        *("a", "http:", "http://", "http:///a", "https:a", "//a", "ftp://a", "file:///etc/passwd"),
        *(
            "http://a b",
            "http://a/ü",
            "http://ü",
            "http://a\n",
            "http://a/\0",
            "http://a/%",
            "\ud800",
        ),
        *("http://a/%4", "http://a\\b", "http://a/{x}", "http://[::1", "http://::1", "http://[a]"),
        *("http://[::1%25eth0]", "http://a:0", "http://a:65536", "http://a:x", "http://a:123456"),
        *("http://a:b@c", "http://a@c", "http://@c", "http://a..b", "http://.a", "http://1.2.3"),
        *("http://256.1.1.1", "http://a/" + "b" * 2_000, "http://" + "a" * 64, " http://a"),
        *("http://a:80:80", "http://a%2eb", "http://a,b", "http://a.1", "http://01.2.3.4"),
    ],
    "method": ["get", "TRACE", "CONNECT", "GET ", "P\nOST", "\0", "G" * 9_999],
    "headers": [
        *(
            {"": ["a"]},
            {"a b": ["a"]},
            {"a:": ["a"]},
            {"ä": ["a"]},
            {"a\r\n": ["a"]},
            {"a" * 201: []},
        ),
        *({"a": ["b\r\nc: d"]}, {"a": ["\0"]}, {"a": ["ü"]}, {"a": [" a"]}, {"a": ["a\t"]}),
        *({"a": ["\x7f"]}, {"a": "b"}, {"a": [None]}, {"a": [1]}, {"a": {}}, {"\ud800": ["a"]}),
        *({"a": ["b" * 8_001]}, {"a": ["b" * 8_000] * 3}, {"a": ["b"] * 101}, {"Host": []}),
        *({"host": ["a", "b"]}, {"a": ["b"], "A": ["b"]}, {"Content-Length": ["1"]}),
        *({"Transfer-Encoding": ["chunked"]}, {"connection": []}, {"UPGRADE": ["h2c"]}),
        {f"a{number}": [] for number in range(101)},
    ],
    "body": ["b" * 100_001, "\ud800"],
    "timeout": [-1, -0.5, 86_401, 10**30, 10**400, "30", True, None, [], {}],
    "expected_response_codes": [[99], [600], [-1], [200, 200], [True], [200.0], ["200"], [None]],
    "follow_redirects": ["true", 0, 1, None, [], {}],
}
"""Of each property values that are refused, and with that property named."""

assert set(NEARLY_PROPERTIES) == set(Remote.__struct_fields__)

remotes = st.builds(
    Remote,
    url=urls(),
    method=_METHODS,
    headers=headers.map(
        lambda drawn: tuple((name, tuple(values)) for name, values in drawn.items())
    ),
    body=_BODIES,
    timeout=_TIMEOUTS.map(float),
    expected_response_codes=st.just(()) | _CODES.map(tuple),
    follow_redirects=st.booleans(),
)
"""What such properties become."""
