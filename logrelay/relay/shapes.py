r"""What secrets look like: a table of names and patterns in RE2's syntax, and no code.

A group called `secret` is what has to vanish; without one it is the whole match. Names may repeat, and where two
shapes overlap the first name counts. No pattern has a part that could run on to the end of the text from each of many
places: together they cost time in proportion to the text.
"""

# A word's border, or a percent-encoded character, whose last digit would be part of the word.
_EDGE = r"(?:\b|%[0-9A-Fa-f]{2})"
_TOKEN = r"[A-Za-z0-9._~+/=-]"  # noqa: S105 RFC 6750 section 2.1, b64token
_BASE64 = r"[A-Za-z0-9+/_-]"
# Between a name and its value, in headers, JSON, and what languages print for maps and pairs.
_IS = r"""["'\\]*\s*(?:=>|[:=,])[\s"'\\\[({]*"""

_PEM = r"-----BEGIN (?:[A-Z0-9]+ ){0,3}PRIVATE KEY(?: BLOCK)?-----"
_PEM_END = r"-----END (?:[A-Z0-9]+ ){0,3}PRIVATE KEY(?: BLOCK)?-----"
_PEM_BREAK = r"(?:\s|\\+[nrt])"
_PEM_HEADER = rf"(?:{_PEM_BREAK}*[A-Za-z-]+: [^\r\n\\]*)*"

# What may stand before the colon of a URL's password. Without brackets, which an IPv6 address has.
_USER = r"""://[^\s:@/?#\[\]"'<>\\`]*:"""

SHAPES: tuple[tuple[str, str], ...] = (
    # Whole, or cut off somewhere: then as far as it looks like a key.
    ("private-key", rf"{_PEM}(?:[^-]|-[^-])*{_PEM_END}"),
    (
        "private-key",
        rf"{_PEM}{_PEM_HEADER}{_PEM_BREAK}*[A-Za-z0-9+/=]{{16,}}(?:{_PEM_BREAK}*[A-Za-z0-9+/=]+)*",
    ),
    # RFC 7519 and, with five parts, RFC 7516; the signature may be missing.
    ("jwt", r"eyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*)?"),
    ("jwt", r"eyJ[A-Za-z0-9_-]{15,}\.[A-Za-z0-9_-]*\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+"),
    # Our own: tickets, reconnect tokens, share links (web/seals.py)
    ("logrelay", r"lr[trs]1\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{43}"),
    # Clouds
    ("aws-access-key", rf"{_EDGE}(?P<secret>(?:AKIA|ASIA|ABIA|ACCA)[A-Z2-7]{{16}})\b"),
    (
        "aws-secret-key",
        rf"(?i:aws_?secret_?(?:access_?)?key|secret_?access_?key){_IS}(?P<secret>[A-Za-z0-9/+]{{40}})",
    ),
    ("aws-secret-key", rf"(?i:(?:session|security)_?token){_IS}(?P<secret>[A-Za-z0-9/+=]{{100,}})"),
    ("azure-key", r"(?i:AccountKey|SharedAccessKey)=(?P<secret>[A-Za-z0-9+/]{42,}={0,2})"),
    (
        "signed-url",
        r"[?&](?i:x-amz-signature|x-amz-security-token|x-goog-signature|sig)=(?P<secret>[A-Za-z0-9%+/=_-]{40,})",
    ),
    ("google", rf"{_EDGE}(?P<secret>AIza[A-Za-z0-9_-]{{35}})"),
    ("google", rf"{_EDGE}(?P<secret>ya29\.[A-Za-z0-9_-]{{20,}})"),
    ("google", rf"{_EDGE}(?P<secret>GOCSPX-[A-Za-z0-9_-]{{20,}})"),
    ("digitalocean", r"do[opr]_v1_[a-f0-9]{64}"),
    ("fly", r"FlyV1 (?P<secret>fm[0-9]_[A-Za-z0-9+/=_-]{40,})"),
    ("planetscale", r"pscale_(?:tkn|pw|oauth)_[A-Za-z0-9_.=-]{32,}"),
    ("supabase", rf"{_EDGE}(?P<secret>sbp_[a-f0-9]{{40}}|sb_secret_[A-Za-z0-9_-]{{20,}})"),
    ("vault", rf"{_EDGE}(?P<secret>hv[sbr]\.[A-Za-z0-9_-]{{24,}})"),
    ("doppler", rf"{_EDGE}(?P<secret>dp\.(?:pt|st|sa|ct|scim|audit)\.(?:[a-z0-9_-]+\.)?[A-Za-z0-9]{{40,}})"),
    ("databricks", rf"{_EDGE}(?P<secret>dapi[a-f0-9]{{32}})"),
    # Code and packages
    ("github", r"gh[pousr]_[A-Za-z0-9]{36,}"),
    ("github", r"github_pat_[A-Za-z0-9_]{22,}"),
    (
        "gitlab",
        rf"{_EDGE}(?P<secret>gl(?:pat|ptt|dt|rt|rtr|cbt|ft|agent|imt|soat|oas|ffct)-[A-Za-z0-9_.-]{{20,}})",
    ),
    ("npm", rf"{_EDGE}(?P<secret>npm_[A-Za-z0-9]{{36}})"),
    ("pypi", r"pypi-AgE[A-Za-z0-9_-]{50,}"),
    ("rubygems", r"rubygems_[a-f0-9]{48}"),
    ("docker", r"dckr_(?:pat|oat)_[A-Za-z0-9_-]{20,}"),
    ("atlassian", r"ATATT3[A-Za-z0-9_=-]{50,}"),
    ("linear", r"lin_(?:api|oauth)_[A-Za-z0-9]{32,}"),
    ("postman", r"PMAK-[a-f0-9]{24}-[a-f0-9]{34}"),
    # Talk, mail, money
    ("slack", rf"{_EDGE}(?P<secret>xox[a-z]-[A-Za-z0-9-]{{10,}}|xapp-[0-9]-[A-Za-z0-9-]{{10,}})"),
    (
        "slack-webhook",
        r"hooks\.slack\.com/(?:services|workflows|triggers)/(?P<secret>[A-Z0-9]{6,}/[A-Za-z0-9]+/[A-Za-z0-9/]{8,})",
    ),
    (
        "discord-webhook",
        r"discord(?:app)?\.com/api/(?:v[0-9]+/)?webhooks/[0-9]+/(?P<secret>[A-Za-z0-9_-]{60,})",
    ),
    ("telegram", r"(?:\b|bot|%[0-9A-Fa-f]{2})(?P<secret>[0-9]{8,10}:AA[A-Za-z0-9_-]{33})"),
    ("sendgrid", rf"{_EDGE}(?P<secret>SG\.[A-Za-z0-9_-]{{16,}}\.[A-Za-z0-9_-]{{32,}})"),
    ("resend", rf"{_EDGE}(?P<secret>re_[A-Za-z0-9]{{8}}_[A-Za-z0-9]{{24}})\b"),
    ("stripe", rf"{_EDGE}(?P<secret>[sr]k_(?:live|test)_[A-Za-z0-9]{{16,}})"),
    ("stripe", rf"{_EDGE}(?P<secret>whsec_[A-Za-z0-9+/]{{24,}}={{0,2}})"),
    ("square", r"sq0(?:atp|csp)-[A-Za-z0-9_-]{22,}"),
    ("shopify", r"shp(?:at|ca|pa|ss)_[a-fA-F0-9]{32}"),
    # Models
    ("anthropic", rf"{_EDGE}(?P<secret>sk-ant-[A-Za-z0-9]+-[A-Za-z0-9_-]{{20,}})"),
    ("openrouter", rf"{_EDGE}(?P<secret>sk-or-v1-[a-f0-9]{{64}})"),
    (
        "openai",
        rf"{_EDGE}(?P<secret>sk-(?:proj|svcacct|admin)-[A-Za-z0-9_-]{{20,}}|sk-[A-Za-z0-9]{{32,}})",
    ),
    ("hugging-face", rf"{_EDGE}(?P<secret>hf_[A-Za-z0-9]{{30,}})"),
    ("replicate", rf"{_EDGE}(?P<secret>r8_[A-Za-z0-9]{{37}})"),
    ("groq", rf"{_EDGE}(?P<secret>gsk_[A-Za-z0-9]{{40,}})"),
    ("xai", rf"{_EDGE}(?P<secret>xai-[A-Za-z0-9]{{70,}})"),
    # Operations
    ("grafana", rf"{_EDGE}(?P<secret>glsa_[A-Za-z0-9]{{32}}_[a-f0-9]{{8}}|glc_[A-Za-z0-9+/]{{32,}}={{0,2}})"),
    ("new-relic", rf"{_EDGE}(?P<secret>NRAK-[A-Z0-9]{{27}})"),
    ("sentry", r"sntry(?:s_[A-Za-z0-9+/=_-]{40,}|u_[a-f0-9]{64})"),
    ("age", r"AGE-SECRET-KEY-1[0-9A-Z]{58}"),
    # RFC 3986 section 3.2.1: the password only. It ends at the last @ before the path, because an @ in it is often left
    # as it is; with a slash in it, too, unless it begins like a port.
    ("url-password", rf"""{_USER}(?P<secret>[^\s/?#"'<>`]+)@"""),
    (
        "url-password",
        rf"""{_USER}(?P<secret>[^\s@/?#,;"'<>`]*[^0-9\s@/?#,;"'<>`][^\s@/?#,;"'<>`]*[/?#][^\s@"'<>`]*)@""",
    ),
    # RFC 6750 and RFC 7617. After the header's name nearly anything is a credential; without it only what has a digit
    # early or is very long, because people write about bearers in prose.
    (
        "bearer",
        (
            rf"""(?i:authori[sz]ation){_IS}(?i:bearer|token|api-?key)(?:\s|%20)+["']?"""
            rf"(?P<secret>[A-Za-z._~+/-]{{0,11}}[0-9]{_TOKEN}{{3,}}|{_TOKEN}{{20,}})"
        ),
    ),
    (
        "bearer",
        (
            r"""\b(?i:bearer)(?:(?:\s|%20)+(?i:token))?(?:(?:\s|%20)+|\s*[:=]\s*)["']?"""
            rf"(?P<secret>[A-Za-z._~+/-]{{0,24}}[0-9]{_TOKEN}{{12,}}|{_TOKEN}{{40,}})"
        ),
    ),
    (
        "basic",
        (
            rf"""(?i:authori[sz]ation){_IS}(?i:basic)(?:\s|%20)+["']?"""
            rf"(?P<secret>{_BASE64}*(?:[0-9]|[a-z][A-Z]){_BASE64}*={{0,2}}|{_BASE64}{{7,}}={{1,2}})"
        ),
    ),
)

# Names whose value is a secret whatever it looks like. A name ends with one of these.
TELLING_NAME = (
    r"(?i:passw(?:or)?d|passphrase|pwd|[a-z0-9][_.-]pass|secret|token|credentials?|authori[sz]ation|"
    r"(?:api|access|secret|private|signing|encryption|client)[ _.-]?key)"
)
_NAMED = rf"""{TELLING_NAME}["']?[ \t]*(?:=>|:=|[:=])[ \t]*"""
_SCHEME = r"(?:(?i:bearer|basic|token|digest|api-?key|negotiate)[ \t]+)?"
_BARE = r"""[^\s&"',;:=()\[\]{}<>\\]"""

PAIRS: tuple[tuple[str, str], ...] = (
    ("pair", rf'{_NAMED}"(?P<secret>(?:[^"\\]|\\.)+)'),
    ("pair", rf"{_NAMED}'(?P<secret>(?:[^'\\]|\\.)+)"),
    # Without quotes up to a space or a separator; a bracket belongs to it where more follows.
    ("pair", rf"""{_NAMED}(?P<secret>{_SCHEME}{_BARE}(?:[^\s&"',;)}}\]]|[)}}\]]+[^\s&"',;)}}\]])*)"""),
)
