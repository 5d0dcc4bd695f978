//! Tokens of every kind against a real issuer on loopback.

mod issuer;

use jiff::{SignedDuration, Timestamp};
use jsonwebtoken::{EncodingKey, Header};
use rstest::rstest;
use serde_json::{Value, json};

use super::*;
use issuer::{FakeIssuer, SigningKey};

const NOW: i64 = 1_800_000_000;

fn now() -> Timestamp {
    Timestamp::from_second(NOW).unwrap()
}

fn later(seconds: i64) -> Timestamp {
    now() + SignedDuration::from_secs(seconds)
}

fn claims(issuer: &FakeIssuer) -> Value {
    json!({
        "iss": issuer.url(), "aud": "oubli-staff", "tenant": "demo", "sub": "agent",
        "email": "agent@example.com", "iat": NOW - 10, "nbf": NOW - 10, "exp": NOW + 300,
    })
}

fn verifier(issuer: &FakeIssuer) -> TokenVerifier {
    TokenVerifier::new(Issuer::parse(&issuer.url()).unwrap()).unwrap()
}

async fn verify(verifier: &TokenVerifier, token: &str, at: Timestamp) -> Result<Identity, TokenError> {
    verifier.verify(token, Audience::Staff, at).await
}

#[tokio::test]
async fn each_algorithm_is_accepted_with_its_key() {
    let keys = [SigningKey::rsa("r"), SigningKey::ec("e"), SigningKey::ed("d")];
    let issuer = FakeIssuer::start(&keys.each_ref()).await;
    let verifier = verifier(&issuer);
    for key in &keys {
        let identity = verify(&verifier, &key.sign(&claims(&issuer)), now())
            .await
            .unwrap();
        assert_eq!(
            (identity.tenant_id.as_str(), identity.member_id.as_str()),
            ("demo", "agent")
        );
    }
    assert_eq!(issuer.fetches(), 1);
}

#[rstest]
#[case("iss", json!("https://evil.example"), TokenError::Invalid)]
#[case("iss", json!(null), TokenError::Invalid)]
#[case("aud", json!("oubli-portal"), TokenError::Invalid)]
#[case("aud", json!(["other", "oubli-staff-2"]), TokenError::Invalid)]
#[case("aud", json!(null), TokenError::Invalid)]
#[case("exp", json!(null), TokenError::Invalid)]
#[case("exp", json!("1900000000"), TokenError::Invalid)]
#[case("exp", json!(NOW - 30), TokenError::Expired)]
#[case("exp", json!(0), TokenError::Expired)]
#[case("nbf", json!(NOW + 31), TokenError::Invalid)]
#[case("tenant", json!(null), TokenError::Invalid)]
#[case("tenant", json!("demo#C"), TokenError::Invalid)]
#[case("tenant", json!(["demo"]), TokenError::Invalid)]
#[case("sub", json!(null), TokenError::Invalid)]
#[case("sub", json!(""), TokenError::Invalid)]
#[tokio::test]
async fn a_wrong_claim_is_refused(#[case] claim: &str, #[case] value: Value, #[case] expected: TokenError) {
    let key = SigningKey::ed("k");
    let issuer = FakeIssuer::start(&[&key]).await;
    let mut claims = claims(&issuer);
    claims[claim] = value;
    assert_eq!(
        verify(&verifier(&issuer), &key.sign(&claims), now()).await,
        Err(expected)
    );
}

#[rstest]
#[case("aud", json!(["other", "oubli-staff"]))]
#[case("exp", json!(NOW - 29))]
#[case("exp", json!(NOW as f64 + 0.5))]
#[case("nbf", json!(NOW + 30))]
#[case("nbf", json!(null))]
#[tokio::test]
async fn what_the_rules_allow_is_accepted(#[case] claim: &str, #[case] value: Value) {
    let key = SigningKey::ed("k");
    let issuer = FakeIssuer::start(&[&key]).await;
    let mut claims = claims(&issuer);
    claims[claim] = value;
    verify(&verifier(&issuer), &key.sign(&claims), now())
        .await
        .unwrap();
}

#[tokio::test]
async fn tokens_that_were_tampered_with_are_refused() {
    let (key, stranger) = (SigningKey::rsa("k"), SigningKey::rsa("k"));
    let issuer = FakeIssuer::start(&[&key]).await;
    let verifier = verifier(&issuer);
    let claims = claims(&issuer);
    let good = key.sign(&claims);
    let (signed, signature) = good.rsplit_once('.').unwrap();
    let (header, payload) = signed.split_once('.').unwrap();
    let admin = issuer::base64url(claims.to_string().replace("agent", "admin").as_bytes());
    let none = issuer::base64url(br#"{"alg":"none","typ":"JWT","kid":"k"}"#);
    let hs256 = |secret: &[u8]| {
        let mut header = Header::new(Algorithm::HS256);
        header.kid = Some("k".into());
        jsonwebtoken::encode(&header, &claims, &EncodingKey::from_secret(secret)).unwrap()
    };
    let wrong = [
        ("another payload", format!("{header}.{admin}.{signature}")),
        ("no signature", format!("{header}.{payload}.")),
        ("alg none", format!("{none}.{payload}.")),
        (
            "alg none with a signature",
            format!("{none}.{payload}.{signature}"),
        ),
        ("a stranger's key", stranger.sign(&claims)),
        ("HS256 with the public key", hs256(&key.public_der)),
        (
            "HS256 with the public key as JWK",
            hs256(key.jwk.to_string().as_bytes()),
        ),
        ("no kid", key.sign_as(&claims, |header| header.kid = None)),
        (
            "another kid",
            key.sign_as(&claims, |header| header.kid = Some("other".into())),
        ),
        (
            "another type",
            key.sign_as(&claims, |header| header.typ = Some("logout+jwt".into())),
        ),
        (
            "critical extension",
            key.sign_as(&claims, |header| header.crit = Some(vec!["x".into()])),
        ),
        (
            "RS512",
            key.sign_as(&claims, |header| header.alg = Algorithm::RS512),
        ),
        (
            "PS256",
            key.sign_as(&claims, |header| header.alg = Algorithm::PS256),
        ),
        ("two parts", signed.to_owned()),
        ("four parts", format!("{good}.x")),
        ("nonsense", "nonsense".to_owned()),
        ("nothing", String::new()),
        ("too long", format!("{good}{}", "x".repeat(MAX_TOKEN_BYTES))),
    ];
    for (what, token) in wrong {
        assert_eq!(
            verify(&verifier, &token, now()).await,
            Err(TokenError::Invalid),
            "{what}"
        );
    }
    verify(&verifier, &good, now()).await.unwrap();
    verify(
        &verifier,
        &key.sign_as(&claims, |header| header.typ = Some("at+jwt".into())),
        now(),
    )
    .await
    .unwrap();
}

#[tokio::test]
async fn a_key_is_for_its_own_algorithm_and_for_signatures() {
    let (ec, mut other) = (SigningKey::ec("k"), SigningKey::ed("other"));
    other.jwk["use"] = json!("enc");
    let issuer = FakeIssuer::start(&[&ec, &other]).await;
    let verifier = verifier(&issuer);
    // An Ed25519 token that names the EC key, and one of a key that is not for signatures.
    let posing = other.sign_as(&claims(&issuer), |header| header.kid = Some("k".into()));
    assert_eq!(verify(&verifier, &posing, now()).await, Err(TokenError::Invalid));
    assert_eq!(
        verify(&verifier, &other.sign(&claims(&issuer)), now()).await,
        Err(TokenError::Invalid)
    );
}

#[tokio::test]
async fn keys_of_other_kinds_in_the_set_do_no_harm() {
    let key = SigningKey::ec("k");
    let issuer = FakeIssuer::start(&[&key]).await;
    issuer.publish(vec![
        json!({"kty": "oct", "kid": "k", "k": "AAAA"}),
        json!({"kty": "AKP", "kid": "new", "pub": "AAAA"}),
        json!("nonsense"),
        key.jwk.clone(),
    ]);
    verify(&verifier(&issuer), &key.sign(&claims(&issuer)), now())
        .await
        .unwrap();
}

#[tokio::test]
async fn a_new_key_is_fetched_but_not_at_every_strangers_wish() {
    let (first, second) = (SigningKey::ed("1"), SigningKey::ed("2"));
    let issuer = FakeIssuer::start(&[&first]).await;
    let verifier = verifier(&issuer);
    let token = second.sign(&claims(&issuer));
    verify(&verifier, &first.sign(&claims(&issuer)), now())
        .await
        .unwrap();
    for second in [0, 10, 29] {
        assert_eq!(
            verify(&verifier, &token, later(second)).await,
            Err(TokenError::Invalid)
        );
    }
    assert_eq!(issuer.fetches(), 1);
    issuer.publish(vec![first.jwk.clone(), second.jwk.clone()]);
    verify(&verifier, &token, later(30)).await.unwrap();
    assert_eq!(issuer.fetches(), 2);
}

#[tokio::test]
async fn a_withdrawn_key_stops_working() {
    let (first, second) = (SigningKey::ed("1"), SigningKey::ed("2"));
    let issuer = FakeIssuer::start(&[&first]).await;
    let verifier = verifier(&issuer);
    let mut claims = claims(&issuer);
    claims["exp"] = json!(NOW + 10_000);
    let token = first.sign(&claims);
    verify(&verifier, &token, now()).await.unwrap();
    issuer.publish(vec![second.jwk.clone()]);
    verify(&verifier, &token, later(599)).await.unwrap();
    assert_eq!(
        verify(&verifier, &token, later(600)).await,
        Err(TokenError::Invalid)
    );
}

#[tokio::test]
async fn known_keys_outlive_an_issuer_that_is_down() {
    let key = SigningKey::ed("k");
    let issuer = FakeIssuer::start(&[&key]).await;
    let verifier = verifier(&issuer);
    let mut claims = claims(&issuer);
    claims["exp"] = json!(NOW + 10_000);
    let token = key.sign(&claims);
    verify(&verifier, &token, now()).await.unwrap();
    issuer.fail(true);
    verify(&verifier, &token, later(3_600)).await.unwrap();
    assert_eq!(
        verify(&verifier, &SigningKey::ed("x").sign(&claims), later(3_700)).await,
        Err(TokenError::Invalid)
    );
}

#[tokio::test]
async fn without_any_key_the_caller_is_asked_to_come_again() {
    let key = SigningKey::ed("k");
    let issuer = FakeIssuer::start(&[&key]).await;
    issuer.fail(true);
    let verifier = verifier(&issuer);
    let token = key.sign(&claims(&issuer));
    let unreachable = Err(TokenError::IssuerUnreachable {
        retry_after_seconds: 5,
    });
    assert_eq!(verify(&verifier, &token, now()).await, unreachable);
    issuer.fail(false);
    assert_eq!(verify(&verifier, &token, later(4)).await, unreachable);
    verify(&verifier, &token, later(5)).await.unwrap();
}

#[tokio::test]
async fn discovery_must_be_of_this_issuer_and_lead_to_a_safe_place() {
    let key = SigningKey::ed("k");
    for (member, value) in [
        ("issuer", "https://evil.example"),
        ("jwks_uri", "http://evil.example/jwks"),
        ("jwks_uri", "file:///etc/passwd"),
    ] {
        let issuer = FakeIssuer::start(&[&key]).await;
        issuer.claim_in_discovery(member, value);
        let refused = verify(&verifier(&issuer), &key.sign(&claims(&issuer)), now()).await;
        assert_eq!(
            refused,
            Err(TokenError::IssuerUnreachable {
                retry_after_seconds: 5
            }),
            "{member}"
        );
    }
}
