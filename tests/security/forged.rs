//! Tokens that must not be accepted, made with everything that an attacker can know.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use oubli_local::runner::{Identity, TokenRequest};
use oubli_tests::Stack;
use serde_json::{Value, json};

/// A wrong way to say who one is.
pub(crate) struct Forged {
    pub(crate) what: &'static str,
    /// The `Authorization` headers.
    pub(crate) authorization: Vec<String>,
    /// The code of the refusal.
    pub(crate) code: &'static str,
}

/// `SubjectPublicKeyInfo` of a P-256 key, up to its point (RFC 5480).
const P256_PREFIX: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86,
    0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];

fn base64url(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The claims of a good token of `admin`.
pub(crate) fn claims(stack: &Stack) -> Value {
    let now = stack.now().as_second();
    json!({
        "iss": stack.runner.identity().issuer(),
        "aud": "oubli-staff",
        "tenant": "demo",
        "sub": "admin",
        "email": "admin@demo.example.com",
        "iat": now,
        "nbf": now,
        "exp": now + 3600
    })
}

/// A token with these claims, rightly signed.
pub(crate) fn signed(stack: &Stack, claims: &Value) -> String {
    stack.runner.identity().sign(claims).unwrap()
}

fn with(stack: &Stack, change: impl FnOnce(&mut Value)) -> String {
    let mut claims = claims(stack);
    change(&mut claims);
    signed(stack, &claims)
}

fn without(stack: &Stack, claim: &str) -> String {
    with(stack, |claims| {
        claims.as_object_mut().unwrap().remove(claim).unwrap();
    })
}

/// Header and claims by hand, with any signature.
fn by_hand(header: &Value, claims: &Value, signature: impl AsRef<[u8]>) -> String {
    let signature = base64url(signature);
    format!(
        "{}.{}.{signature}",
        base64url(header.to_string()),
        base64url(claims.to_string())
    )
}

/// All of them. The first group of the result is what an administrator's token could be forged as.
pub(crate) fn all(stack: &Stack) -> Vec<Forged> {
    let mut forged = headers(stack);
    for (what, token, code) in claimed(stack).into_iter().chain(keys(stack)) {
        forged.push(Forged {
            what,
            authorization: vec![format!("Bearer {token}")],
            code,
        });
    }
    forged
}

fn headers(stack: &Stack) -> Vec<Forged> {
    let good = signed(stack, &claims(stack));
    let basic = STANDARD.encode("admin:admin");
    let cases = [
        ("no header", vec![], "token_missing"),
        ("no token", vec!["Bearer".to_owned()], "token_missing"),
        ("an empty token", vec!["Bearer ".to_owned()], "token_missing"),
        ("no scheme", vec![good.clone()], "token_missing"),
        ("another scheme", vec![format!("Basic {basic}")], "token_missing"),
        (
            "a token under another scheme",
            vec![format!("DPoP {good}")],
            "token_missing",
        ),
        (
            "two good tokens",
            vec![format!("Bearer {good}"), format!("Bearer {good}")],
            "token_invalid",
        ),
        (
            "two tokens in one header",
            vec![format!("Bearer {good}, Bearer {good}")],
            "token_invalid",
        ),
        (
            "a parameter behind the token",
            vec![format!("Bearer {good} x")],
            "token_invalid",
        ),
        ("nonsense", vec!["Bearer nonsense".to_owned()], "token_invalid"),
        ("dots", vec!["Bearer ..".to_owned()], "token_invalid"),
        (
            "a huge token",
            vec![format!("Bearer {good}{}", "A".repeat(8_000))],
            "token_invalid",
        ),
    ];
    cases
        .into_iter()
        .map(|(what, authorization, code)| Forged {
            what,
            authorization,
            code,
        })
        .collect()
}

type Case = (&'static str, String, &'static str);

/// Rightly signed, and wrong in what they claim.
fn claimed(stack: &Stack) -> Vec<Case> {
    let now = stack.now().as_second();
    let set = |claim: &'static str, value: Value| with(stack, move |claims| claims[claim] = value);
    let portal = TokenRequest::Portal {
        tenant: "demo".into(),
        email: "admin@demo.example.com".into(),
    };
    let (portal, _) = stack.runner.identity().token(&portal, stack.now()).unwrap();
    let issuer = stack.runner.identity().issuer();
    let invalid = "token_invalid";
    let mut cases = vec![
        ("expired", set("exp", json!(now - 31)), "token_expired"),
        ("expired long ago", set("exp", json!(0)), "token_expired"),
        ("an expiry that is no number", set("exp", json!("never")), invalid),
        ("not yet valid", set("nbf", json!(now + 31)), invalid),
        (
            "another issuer",
            set("iss", json!("https://evil.example.com")),
            invalid,
        ),
        (
            "an issuer that begins like ours",
            set("iss", json!(format!("{issuer}/"))),
            invalid,
        ),
        ("a list of issuers", set("iss", json!([issuer])), invalid),
        ("of the portal", portal, invalid),
        (
            "the portal's audience",
            set("aud", json!("oubli-portal")),
            invalid,
        ),
        (
            "an audience that begins like ours",
            set("aud", json!("oubli-staff-2")),
            invalid,
        ),
        ("no audience at all", set("aud", json!([])), invalid),
        ("a tenant that is no id", set("tenant", json!("demo#x")), invalid),
        (
            "a tenant that is a key",
            set("tenant", json!("demo#C#1")),
            invalid,
        ),
        ("an empty tenant", set("tenant", json!("")), invalid),
        ("several tenants", set("tenant", json!(["demo"])), invalid),
        ("a member that is no id", set("sub", json!("admin#")), invalid),
        ("an empty member", set("sub", json!("")), invalid),
        ("a member that is a number", set("sub", json!(1)), invalid),
    ];
    for claim in ["iss", "aud", "exp", "tenant", "sub"] {
        let what = match claim {
            "iss" => "no issuer",
            "aud" => "no audience",
            "exp" => "no expiry",
            "tenant" => "no tenant",
            _ => "no member",
        };
        cases.push((what, without(stack, claim), invalid));
    }
    cases
}

/// Right in what they claim, and not signed as they should be.
fn keys(stack: &Stack) -> Vec<Case> {
    let identity = stack.runner.identity();
    let claims = claims(stack);
    let kid = identity.kid().to_owned();
    let jwk = identity.jwks()["keys"][0].clone();
    let coordinate = |name: &str| URL_SAFE_NO_PAD.decode(jwk[name].as_str().unwrap()).unwrap();
    let (x, y) = (coordinate("x"), coordinate("y"));
    let point = [&[4], x.as_slice(), y.as_slice()].concat();
    let der = [P256_PREFIX.as_slice(), &point].concat();
    let base64 = STANDARD.encode(&der);
    let lines: Vec<_> = base64
        .as_bytes()
        .chunks(64)
        .map(|line| String::from_utf8_lossy(line))
        .collect();
    let pem = format!(
        "-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n",
        lines.join("\n")
    );
    let hs256 = |secret: &[u8]| {
        let mut header = Header::new(Algorithm::HS256);
        header.kid = Some(kid.clone());
        encode(&header, &claims, &EncodingKey::from_secret(secret)).unwrap()
    };
    let header = |alg: &str| json!({ "alg": alg, "typ": "JWT", "kid": kid });
    let good = signed(stack, &claims);
    let (_, good_signature) = good.rsplit_once('.').unwrap();
    let good_signature = URL_SAFE_NO_PAD.decode(good_signature).unwrap();
    let mut other_claims = claims.clone();
    other_claims["sub"] = json!("agent");

    let stranger_key = Identity::generate_key().unwrap();
    let stranger = EncodingKey::from_ec_der(&stranger_key);
    let by_stranger = |change: &dyn Fn(&mut Header)| {
        let mut header = Header::new(Algorithm::ES256);
        header.kid = Some(kid.clone());
        change(&mut header);
        encode(&header, &claims, &stranger).unwrap()
    };
    let own = EncodingKey::from_ec_der(identity.pkcs8());
    let by_us = |change: &dyn Fn(&mut Header)| {
        let mut header = Header::new(Algorithm::ES256);
        header.kid = Some(kid.clone());
        change(&mut header);
        encode(&header, &claims, &own).unwrap()
    };
    let stranger_identity = Identity::new(identity.issuer().to_owned(), Some(stranger_key.clone())).unwrap();
    let mut stranger_jwk = stranger_identity.jwks()["keys"][0].clone();
    stranger_jwk["kid"] = json!(kid);
    // The key comes along in the header, as a library might be made to believe.
    let mut embedded = header("ES256");
    embedded["jwk"] = stranger_jwk;
    let signing_input = format!(
        "{}.{}",
        base64url(embedded.to_string()),
        base64url(claims.to_string())
    );
    let signature =
        jsonwebtoken::crypto::sign(signing_input.as_bytes(), &stranger, Algorithm::ES256).unwrap();
    let embedded = format!("{signing_input}.{signature}");

    let invalid = "token_invalid";
    let none = |alg: &str| by_hand(&header(alg), &claims, b"");
    vec![
        ("alg none", none("none"), invalid),
        ("alg None", none("None"), invalid),
        ("alg NONE", none("NONE"), invalid),
        (
            "alg none, with the signature of a good token",
            by_hand(&header("none"), &claims, &good_signature),
            invalid,
        ),
        (
            "an empty signature",
            by_hand(&header("ES256"), &claims, b""),
            invalid,
        ),
        (
            "a signature of zeros",
            by_hand(&header("ES256"), &claims, [0; 64]),
            invalid,
        ),
        (
            "the signature of other claims",
            by_hand(&header("ES256"), &other_claims, &good_signature),
            invalid,
        ),
        (
            "RS256 said of an EC key",
            by_hand(&header("RS256"), &claims, &good_signature),
            invalid,
        ),
        (
            "EdDSA said of an EC key",
            by_hand(&header("EdDSA"), &claims, &good_signature),
            invalid,
        ),
        ("HS256 with the public key: point", hs256(&point), invalid),
        (
            "HS256 with the public key: x and y",
            hs256(&[x, y].concat()),
            invalid,
        ),
        ("HS256 with the public key: DER", hs256(&der), invalid),
        ("HS256 with the public key: PEM", hs256(pem.as_bytes()), invalid),
        (
            "HS256 with the public key: PEM without its last line end",
            hs256(pem.trim_end().as_bytes()),
            invalid,
        ),
        (
            "HS256 with the public key: JWK",
            hs256(jwk.to_string().as_bytes()),
            invalid,
        ),
        ("HS256 with nothing", hs256(b""), invalid),
        ("our kid, a stranger's key", by_stranger(&|_| {}), invalid),
        ("a stranger's key that the header brings along", embedded, invalid),
        (
            "a stranger's key at an address of the header's",
            by_stranger(&|header| header.jku = Some("https://evil.example.com/jwks".into())),
            invalid,
        ),
        (
            "an unknown kid",
            by_us(&|header| header.kid = Some("unknown".into())),
            invalid,
        ),
        (
            "a kid that is a path",
            by_us(&|header| header.kid = Some("../../dev/null".into())),
            invalid,
        ),
        ("no kid", by_us(&|header| header.kid = None), invalid),
        (
            "a critical extension",
            by_us(&|header| header.crit = Some(vec!["b64".into()])),
            invalid,
        ),
        (
            "of another type",
            by_us(&|header| header.typ = Some("dpop+jwt".into())),
            invalid,
        ),
    ]
}
