"""Secrets and what looks like them. Every secret is made up, and put together when this is read.

Nothing here may look like a secret to those who scan repositories for them: prefixes are cut in two, and the rest is
drawn from a seeded generator.
"""

import random
import string

import attrs

_rng = random.Random("a corpus of secrets")

ALNUM = string.ascii_letters + string.digits
HEX = "0123456789abcdef"
BASE32 = string.ascii_uppercase + "234567"


def some(count: int, alphabet: str = ALNUM) -> str:
    """Characters that nobody has chosen; among the first ones are a letter and a digit where there are any."""
    while True:
        drawn = "".join(_rng.choice(alphabet) for _ in range(count))
        kinds = {character.isdigit() for character in drawn[:8]}
        if len(kinds) == len({character.isdigit() for character in alphabet}):
            return drawn


def joined(*parts: str) -> str:
    """A secret from its parts."""
    return "".join(parts)


@attrs.frozen
class Case:
    """A text with one secret: what stands before it, the secret, and what stands after it."""

    rule: str
    before: str
    secret: str = attrs.field(repr=False)
    after: str = ""

    @property
    def text(self) -> str:
        return f"{self.before}{self.secret}{self.after}"

    @property
    def expected(self) -> str:
        return f"{self.before}[redacted:{self.rule}]{self.after}"


def jwt() -> str:
    return joined("ey", "J", some(30), ".", "ey", "J", some(60), ".", some(43, ALNUM + "-_"))


def pem(kind: str = "RSA ", *, newline: str = "\n", end: bool = True, headers: str = "") -> str:
    body = newline.join(some(64, ALNUM + "+/") for _ in range(5))
    tail = f"{newline}-----END {kind}PRIVATE KEY-----" if end else ""
    return joined("-----BEGIN ", kind, "PRIVATE", " KEY-----", newline, headers, body, tail)


PEM_HEAD = joined("-----BEGIN ", "PRIVATE", " KEY-----")
ACCESS_KEY = joined("AK", "IA", some(16, BASE32))
GITHUB = joined("gh", "p_", some(36))
STRIPE = joined("sk", "_li", "ve_", some(24))
SLACK = joined("xo", "xb-", some(12, string.digits), "-", some(24))

SECRETS = (
    # JWTs and other bearers
    Case("jwt", "token is ", jwt(), ", good for an hour"),
    Case("jwt", "GET /cb?id_token=", jwt(), "&state=7"),
    Case("jwt", '{"jwt":"', jwt(), '","n":1}'),
    Case("jwt", "unsigned ", joined("ey", "J", some(20), ".ey", "J", some(40), "."), ' "alg":none'),
    Case("jwt", "encrypted ", joined("ey", "J", ".".join(some(count) for count in (40, 40, 16, 50, 22))), "!"),
    Case("jwt", "Authorization: Bearer ", jwt(), " ok"),
    Case("jwt", "cookie: sid=", jwt(), "; Path=/"),
    Case("bearer", "Authorization: Bearer ", some(40), "\r\nAccept: */*"),
    Case("bearer", "authorization=bearer ", some(32, HEX), " status=401"),
    Case("bearer", "-H 'Authorization: Bearer ", some(24), "' https://api.example.com/v1"),
    Case("bearer", '{"headers":{"authorization":"Bearer ', some(36), '"},"path":"/v1"}'),
    Case("bearer", "Authorization:[Bearer ", some(30), "] Accept:[*/*]"),
    Case("bearer", "{'Authorization': 'Token ", some(40, HEX), "', 'n': 1}"),
    Case("bearer", '"authorization"=>"Bearer ', some(20), '"'),
    Case("bearer", "('authorization', 'Bearer ", some(20), "')"),
    Case("bearer", "Proxy-Authorization: BEARER ", joined("s3cret-", some(6)), " to proxy"),
    Case("bearer", "sent Bearer ", some(48), " upstream"),
    Case("bearer", "bearer token: ", some(32, HEX), " rejected"),
    Case("bearer", "Bearer ", "0f8fad5b-d9cb-469f-a165-70867728950e", " is unknown"),
    Case("bearer", "auth%3A+Bearer%20", some(40), "&x=1"),
    Case("basic", "Authorization: Basic ", "dXNlcjpwYXNzd29yZA==", " ok"),
    Case("basic", '"Authorization": "Basic ', "YWRtaW46czNjcjN0", '"'),
    Case("basic", "authorization: basic ", "YTpiYw==", "\n"),
    # Clouds
    Case("aws-access-key", "key ", ACCESS_KEY, " is not authorised"),
    Case("aws-access-key", "AWS_ACCESS_KEY_ID=", joined("AS", "IA", some(16, BASE32)), "\n"),
    Case("aws-access-key", "https://s3.example.com/b?X-Amz-Credential=", ACCESS_KEY, "%2F20261123%2Fus-east-1"),
    Case("aws-access-key", "Credential%3D", ACCESS_KEY, "/20261123"),
    Case("aws-secret-key", "aws_secret_access_key = ", some(40, ALNUM + "/+"), "\nregion = eu-west-1"),
    Case("aws-secret-key", '{"SecretAccessKey": "', some(40, ALNUM + "/+"), '", "Expiration": 1}'),
    Case("aws-secret-key", "'secretAccessKey': '", some(40), "'"),
    Case("aws-secret-key", '"SessionToken":"', some(300, ALNUM + "/+"), '","a":1'),
    Case("azure-key", "AccountName=shop;AccountKey=", some(86, ALNUM + "+/") + "==", ";EndpointSuffix=x"),
    Case("azure-key", "Endpoint=sb://x/;SharedAccessKeyName=n;SharedAccessKey=", some(43) + "=", ""),
    Case("signed-url", "GET https://b.s3.example.com/k?X-Amz-Date=1&X-Amz-Signature=", some(64, HEX), " 200"),
    Case("signed-url", "https://x.blob.example.net/c?sv=2022&sig=", some(43) + "%3D", "&se=2026"),
    Case("google", "maps key ", joined("AI", "za", some(35)), " over quota"),
    Case("google", "?key=", joined("AI", "za", some(35, ALNUM + "-_")), "&v=3"),
    Case("google", "access ", joined("ya", "29.", some(60, ALNUM + "-_")), " expired"),
    Case("google", "client_secret ", joined("GOC", "SPX-", some(28)), ";"),
    Case("digitalocean", "DO_TOKEN=", joined("do", "p_v1_", some(64, HEX)), " used"),
    Case("fly", "Authorization: FlyV1 ", joined("fm", "2_", some(80)), " x"),
    Case("planetscale", "pw ", joined("psc", "ale_pw_", some(43)), ","),
    Case("supabase", "key=", joined("sb", "p_", some(40, HEX)), " x"),
    Case("vault", "X-Vault-Token: ", joined("hv", "s.", some(24)), "\n"),
    Case("doppler", "DOPPLER=", joined("dp", ".st.dev.", some(43)), "\n"),
    Case("databricks", "PAT ", joined("da", "pi", some(32, HEX)), " ok"),
    # Code and packages
    Case("github", "git clone failed for ", GITHUB, " (403)"),
    Case("github", "GH_TOKEN=", joined("gh", "s_", some(36)), "\n"),
    Case("github", "remote: ", joined("git", "hub_pat_", some(22), "_", some(59)), " expired"),
    Case("gitlab", "PRIVATE-TOKEN: ", joined("gl", "pat-", some(20)), "\n"),
    Case("gitlab", "runner ", joined("gl", "rt-", some(20)), " registered"),
    Case("logrelay", "GET /stream?ticket=", joined("lr", "t1.", some(60), ".", some(43)), " 101"),
    Case("npm", "//registry.example.org/:_authToken=", joined("np", "m_", some(36)), "\n"),
    Case("pypi", "TWINE_PASSWORD=", joined("py", "pi-AgE", some(80)), "\n"),
    Case("rubygems", "key ", joined("ruby", "gems_", some(48, HEX)), " x"),
    Case("docker", "docker login -p ", joined("dck", "r_pat_", some(27)), " -u me"),
    Case("atlassian", "jira ", joined("ATA", "TT3", some(120)), " 401"),
    Case("linear", "linear ", joined("lin", "_api_", some(40)), " 401"),
    Case("postman", "postman ", joined("PM", "AK-", some(24, HEX), "-", some(34, HEX)), " 401"),
    # Talk, mail, money
    Case("slack", "slack says no to ", SLACK, ": not_authed"),
    Case("slack", "app ", joined("xa", "pp-1-", "A0", some(9), "-", some(40)), " connected"),
    Case("slack-webhook", "https://hooks.slack.com/services/", joined("T", "0123ABCD/B", "0123/", some(24)), " 404"),
    Case("discord-webhook", "https://discord.com/api/webhooks/1234567890/", some(68), " 429"),
    Case("telegram", "https://api.telegram.org/bot", joined("123456789", ":A", "A", some(33)), "/getMe"),
    Case("telegram", "bot token ", joined("9876543210", ":A", "A", some(33)), " revoked"),
    Case("sendgrid", "sendgrid ", joined("SG", ".", some(22), ".", some(43)), " 403"),
    Case("resend", "resend ", joined("re", "_", some(8), "_", some(24)), " 403"),
    Case("stripe", "No such key: ", STRIPE, " in live mode"),
    Case("stripe", "STRIPE=", joined("sk", "_te", "st_", some(99)), "\n"),
    Case("stripe", "restricted ", joined("rk", "_li", "ve_", some(24)), "."),
    Case("stripe", "signing with ", joined("wh", "sec_", some(32)), " failed"),
    Case("square", "square ", joined("sq", "0atp-", some(22)), " x"),
    Case("shopify", "shop ", joined("sh", "pat_", some(32, HEX)), " x"),
    # Models
    Case("openai", "Incorrect API key provided: ", joined("sk", "-", some(48)), ". You can find"),
    Case("openai", "OPENAI=", joined("sk", "-proj-", some(60, ALNUM + "-_")), "\n"),
    Case("anthropic", "x-api-key: ", joined("sk", "-ant-api03-", some(90)), "\n"),
    Case("openrouter", "using ", joined("sk", "-or-v1-", some(64, HEX)), "\n"),
    Case("hugging-face", "HF_TOKEN=", joined("h", "f_", some(34)), "\n"),
    Case("replicate", "token ", joined("r", "8_", some(37)), "\n"),
    Case("groq", "token ", joined("g", "sk_", some(52)), "\n"),
    Case("xai", "token ", joined("x", "ai-", some(80)), "\n"),
    # Operations
    Case("grafana", "sa ", joined("gl", "sa_", some(32), "_", some(8, HEX)), " x"),
    Case("new-relic", "nr ", joined("NR", "AK-", some(27, string.ascii_uppercase + string.digits)), " x"),
    Case("sentry", "sentry-cli --auth-token ", joined("snt", "rys_", some(80)), " x"),
    Case("age", "identity ", joined("AGE-SECRET", "-KEY-1", some(58, string.ascii_uppercase + string.digits)), "\n"),
    # Private keys
    Case("private-key", "loaded ", pem(), " from disk"),
    Case("private-key", "", pem("EC "), "\n"),
    Case("private-key", "key=", pem("", newline="\\n"), '","type":"service_account"'),
    Case("private-key", '{"private_key":"', pem("", newline="\\n", end=False), '","id":7}'),
    Case("private-key", "cut: ", pem("OPENSSH ", end=False)),
    Case("private-key", "env: ", pem("", newline=" "), " done"),
    Case("private-key", "", pem("RSA ", headers="Proc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,0A1B\n\n"), "\n# end"),
    Case("private-key", "twice escaped ", pem("", newline="\\\\n"), ' \\"x\\"'),
    # Credentials in URLs
    Case("url-password", "connecting to postgres://app:", "hunter2", "@db.example.com:5432/shop?sslmode=require"),
    Case("url-password", "redis://:", "s3cret", "@cache:6379/0"),
    Case("url-password", "redis://default:", some(32), "@cache.internal:6379"),
    Case("url-password", "mongodb+srv://root:", "p%40ss", "@cluster0.example.net/?retryWrites=true"),
    Case("url-password", "amqp://guest:", "g4est", "@mq:5672/%2F failed"),
    Case("url-password", "https://ci:", "tok.en_1-2~3", "@git.example.com/a/b.git"),
    Case("url-password", "mysql://u:", "p@ss@w0rd", "@host/db"),
    Case("url-password", "postgres://u:", "pa/ss", "@host:5432/db"),
    Case("url-password", "postgres://u:", "pa#ss?x", "@host:5432/db"),
    Case("url-password", "mongodb://u:", "p,w", "@h1:27017,h2:27017/db"),
    Case("url-password", "jdbc:postgresql://u:", "größe", "@host/db"),
    Case("url-password", '["smtp://mailer:', "12345", '@smtp.example.com"]'),
    Case("url-password", "proxy http://u:", "$ecret!", "@[2001:db8::1]:3128 is down"),
    Case("url-password", "https://user:", GITHUB.replace("ghp", "tok"), "@example.com/"),
)  # fmt: skip

_GREEN, _END = "\x1b[32m", "\x1b[0m"
_SPLIT = _GREEN.join((GITHUB[:10], GITHUB[10:]))

# The same behind terminal codes, and JSON's escapes.
DISGUISED = (
    Case("bearer", f"Authorization: {_GREEN}Bearer{_END} {_GREEN}", some(40), f"{_END} ok"),
    Case("jwt", f"Bearer {_GREEN}", jwt(), f"{_END} ok"),
    Case("github", f"{_GREEN}token{_END}={_GREEN}", GITHUB, _END),
    Case("github", "split ", _SPLIT, " by a colour"),
    Case("aws-access-key", f"\x1b[1m{_GREEN}", ACCESS_KEY, f"{_END}\x1b(B"),
    Case("aws-access-key", "\\u001b[32m", ACCESS_KEY, "\\u001b[0m"),
    Case("stripe", "\x9b31m", STRIPE, "\x9b0m"),
    Case("url-password", "\x1b]8;;https://joe:", "hunter2", "@host\x07link\x1b]8;;\x07"),
    Case("github", "\x1b]0;", GITHUB.replace("_", "\\u005f"), "\x07"),
    Case("bearer", '{\\"authorization\\":\\"Bearer ', some(36), '\\"}'),
    Case("bearer", "authorization: \\u0042earer ", some(36), " x"),
    Case("bearer", '{"a":"\\u0061uthorization: \\u0062earer ', some(36), '"}'),
    Case("github", '"x":"', GITHUB.replace("_", "\\u005f"), '"'),
    Case("url-password", '"https:\\/\\/user:', "hunter2", '@host\\/path"'),
    Case("url-password", '"https:\\\\/\\\\/user:', "hunter2", '@host"'),
    Case("url-password", '\\"redis:\\/\\/:', "s\\u0065cret", '@cache\\"'),
    Case("slack", "line one\\n", SLACK, "\\nline three"),
    Case("npm", '\\\\\\"token\\\\\\":\\\\\\"', joined("np", "m_", some(36)), '\\\\\\"'),
)

# Only with pairs switched on.
PAIRS = (
    Case("pair", "password=", "hunter2", " user=joe"),
    Case("pair", "PASSWORD: ", "hunter2", "\nuser: joe"),
    Case("pair", "DB_PASSWORD=", "h:u#n%t", " x"),
    Case("pair", 'password="', "two words", '" user="joe"'),
    Case("pair", "passwd='", "it\\'s", "', n=1"),
    Case("pair", '{"user":"joe","password":"', "hunter2", '","n":1}'),
    Case("pair", '{"password" : "', 'hun\\"ter', '"}'),
    Case("pair", '{\\"password\\":\\"', "hunter2", '\\"}'),
    Case("pair", 'password=\\"', "two words", '\\" x'),
    Case("pair", "?access_token=", "abc", "&x=1"),
    Case("pair", "apiKey: '", "abc", "'"),
    Case("pair", "X-Api-Key: ", "abc-123", "\r\n"),
    Case("pair", "client_secret=", "abc", "&grant_type=password"),
    Case("pair", "pwd=", "p)w", ")"),
    Case("pair", "Server=x;Pwd=", "p@ss", ";Database=y"),
    Case("pair", "{user=joe, password=", "x1", "}"),
    Case("pair", ':password=>"', "x1", '", :user=>"joe"'),
    Case("pair", "authorization: ", "Bearer letters", "\n"),
    Case("pair", "Authorization: ", "letters", "\n"),
    Case("pair", "secret := ", "abc", "\n"),
    Case("pair", "config.secret_key = '", "abc", "'"),
    Case("pair", f"{_GREEN}password{_END}=", "hunter2", f" {_GREEN}user{_END}=joe"),
    Case("pair", "passphrase: ", "größe", ", n"),
    Case("pair", "DB_PASS=", "abc", "\n"),
)  # fmt: skip

LOOKALIKES = (
    # Hashes, ids, encoded text
    f"commit {some(40, HEX)} by joe",
    f"sha256:{some(64, HEX)}",
    f"image registry.example.com/shop@sha256:{some(64, HEX)}",
    "request 0f8fad5b-d9cb-469f-a165-70867728950e done",
    f'etag W/"{some(27)}"',
    f"md5 {some(32, HEX)} ok",
    f"sha512-{some(86, ALNUM + '+/')}== integrity",
    f"data:image/png;base64,iVBORw0KGgo{some(600, ALNUM + '+/')}",
    f"data:image/jpeg;base64,/9j/4AAQ{some(400, ALNUM + '+/')}==",
    "trace 4bf92f3577b34da6a3ce929d0e0e4736 span 00f067aa0ba902b7",
    "traceparent=00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    "ulid 01ARZ3NDEKTSV4RRFFQ69G5FAV",
    "eyJ is how JSON begins in base64",
    "payload eyJhIjoxfQ== decoded",
    f"eyJ{some(60)} has no dots",
    f"SHA256:{some(43, ALNUM + '+/')} ssh-ed25519 host key",
    f"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI{some(43, ALNUM + '+/')} joe@laptop",
    "-----BEGIN CERTIFICATE-----\nMIIB" + some(60) + "\n-----END CERTIFICATE-----",
    "-----BEGIN PUBLIC KEY-----\nMIIB" + some(60) + "\n-----END PUBLIC KEY-----",
    f"expected {PEM_HEAD} at the start of the file",
    f"{PEM_HEAD.replace('BEGIN', 'BEGIN RSA')} not found in config",
    # Bearers and basics in prose
    "Bearer token required",
    "the Bearer of this letter",
    'WWW-Authenticate: Bearer realm="api", error="invalid_token"',
    'WWW-Authenticate: Basic realm="Restricted"',
    "bearer authentication is not configured",
    "Authorization: Bearer undefined",
    "Authorization: Bearer null",
    "Authorization: Bearer <token>",
    "Authorization: Bearer $TOKEN",
    "Authorization: Bearer ${TOKEN}",
    "Authorization: Bearer {{ token }}",
    "Authorization: Bearer ****",
    "Authorization: Basic auth is deprecated",
    "missing header: authorization",
    "Authorization: Basic authentication failed",
    "basic 4 of 10 lessons done",
    "Basic dXNlcjpwYXNz in base64 without a header",
    "Invalid Authorization header format",
    "Authorization: AWS4-HMAC-SHA256 required",
    "the bearer, 3 tokens, and a ring",
    # URLs and addresses
    "https://host:8080/path@x",
    "https://host:8080/@scope/package",
    "https://example.com/?q=a:b@c",
    "https://example.com/a:b/c@d",
    "http://[::1]:8080/x@y",
    "https://user@host/path",
    "https://user:@host/path",
    "ssh://git@github.com:22/owner/repo.git",
    "git@github.com:owner/repo.git",
    "joe@example.com wrote to ann@example.com",
    "mailto:joe@example.com?subject=a:b",
    "listening on http://0.0.0.0:8080, contact ops@example.com",
    '["http://host:8080","joe@example.com"]',
    '{"url":"http://host:8080","mail":"joe@example.com"}',
    "['http://host:8080','joe@example.com']",
    "http://a:8080,http://b:9090/x@y",
    "postgres://user:***@host/db",
    "postgres://user:xxxxx@host/db",
    "postgres://user:${PASSWORD}@host/db",
    "postgres://user:<password>@host/db",
    "postgres://user:%s@host/db",
    "postgres://user:[REDACTED]@host/db",
    "postgres://host:5432/db?user=joe@example.com",
    "npm WARN @types/node@20.1.0 from https://registry.npmjs.org:443/@types%2fnode",
    "file:///usr/lib/node_modules/@scope/x:1:2@3",
    "https://hooks.slack.com/services/ is the prefix",
    "https://discord.com/api/webhooks/ is the prefix",
    "https://example.com/?sig=short&se=1",
    # Prefixes in other words
    "AKIA is a prefix of AWS",
    "AKIAXXXXXXXXXXXXXXXXXXXXXXXXXX",
    "SLOVAKIAN2024RESULTS22",
    "AKIAlowercaseletters",
    "task-0123456789abcdef0123456789abcdef0123456789abcdef",
    "disk-usage-is-at-ninety-percent-of-the-volume-limit",
    "sk-learn and sk-image",
    "ghp_ is how GitHub's tokens begin",
    "ghp_tooshort",
    "half_life_of_the_cache_entry_is_thirty_seconds",
    "hf_transfer enabled",
    "npm_config_registry=https://registry.npmjs.org",
    "npm_lifecycle_event=start",
    "SG.1 and SG.2 are done",
    "xoxo-love",
    "AIzawa ran",
    "sk_test_ and sk_live_",
    "risk_test_0123456789abcdefghij",
    "re_compiled_in_0123456789",
    "glpat- prefix",
    "dapi version 2",
    "12:34:56:AA:BB:CC is a MAC",
    "12345678:AABB",
    "dp.pt is short",
    # Pairs are left alone by default
    "token=abc123",
    "password=hunter2",
    '{"password":"hunter2"}',
    "SyntaxError: Unexpected token: }",
    "secret: none of your business",
    "api_key missing",
    # Versions, paths, numbers, other text
    "v1.2.3-rc.4+build.567",
    "node_modules/.pnpm/@babel+core@7.23.0/node_modules/@babel/core",
    "C:\\Users\\new\\table\\x41.txt",
    "/var/lib/docker/overlay2/" + some(64, HEX) + "/merged",
    "4111 1111 1111 1111",
    "2026-11-23T03:21:30.033333123Z GET /health 200",
    "\x1b[32mINFO\x1b[0m request done in 5 ms",
    '{\\"msg\\":\\"hello\\",\\"path\\":\\"\\/health\\"}',
    "naïve café 🚂 日本語 \\u00e9",
    "[redacted:jwt] has gone already",
)  # fmt: skip

# These stay with pairs switched on, too.
UNPAIRED = (
    "max_tokens=1024 prompt_tokens: 33",
    "token_count=5 token_type: bearer",
    "password_reset: sent",
    "password=null",
    "password: ********",
    "password=[redacted:pair]",
    "secret=${SECRET}",
    "token: {",
    "token == null",
    "password is required",
    "the secretary: Ann",
    "passport=12345678",
    "author: Ann, authority=root",
    "keyboard: de, monkey=1",
    "tokenizer: fast",
    "token=",
    'password=""',
)
