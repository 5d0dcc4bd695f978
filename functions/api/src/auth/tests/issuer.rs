//! An issuer on loopback, and keys to sign with.

use std::sync::{Arc, Mutex};

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RsaKeyPair,
};
use axum::extract::State;
use axum::{Json, Router, routing};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::StatusCode;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};
use tokio::net::TcpListener;

pub(super) fn base64url(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// A key pair, as the issuer has it and as it publishes it.
pub(super) struct SigningKey {
    algorithm: Algorithm,
    key: EncodingKey,
    pub(super) jwk: Value,
    pub(super) public_der: Vec<u8>,
}

impl SigningKey {
    pub(super) fn rsa(kid: &str) -> Self {
        let pair = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
        let pkcs8 = AsDer::<Pkcs8V1Der<'_>>::as_der(&pair).unwrap();
        // PKCS#8 of an RSA key of 2048 bits is PKCS#1 behind 26 bytes of header; the public key
        // is a sequence (4 bytes) of the modulus (5 bytes of header) and the exponent 65537.
        let key = EncodingKey::from_rsa_der(&pkcs8.as_ref()[26..]);
        let public_der = pair.public_key().as_ref().to_vec();
        let modulus = base64url(&public_der[9..265]);
        let jwk = json!({"kty": "RSA", "kid": kid, "use": "sig", "alg": "RS256", "n": modulus, "e": "AQAB"});
        Self {
            algorithm: Algorithm::RS256,
            key,
            jwk,
            public_der,
        }
    }

    pub(super) fn ec(kid: &str) -> Self {
        let pkcs8 =
            EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new()).unwrap();
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8.as_ref()).unwrap();
        let public = pair.public_key().as_ref();
        let (x, y) = (base64url(&public[1..33]), base64url(&public[33..65]));
        let jwk = json!({"kty": "EC", "kid": kid, "crv": "P-256", "x": x, "y": y});
        let key = EncodingKey::from_ec_der(pkcs8.as_ref());
        Self {
            algorithm: Algorithm::ES256,
            key,
            jwk,
            public_der: public.to_vec(),
        }
    }

    pub(super) fn ed(kid: &str) -> Self {
        let pkcs8 = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
        let pair = Ed25519KeyPair::from_pkcs8(pkcs8.as_ref()).unwrap();
        let public = pair.public_key().as_ref();
        let jwk = json!({"kty": "OKP", "kid": kid, "crv": "Ed25519", "x": base64url(public), "alg": "EdDSA"});
        let key = EncodingKey::from_ed_der(pkcs8.as_ref());
        Self {
            algorithm: Algorithm::EdDSA,
            key,
            jwk,
            public_der: public.to_vec(),
        }
    }

    pub(super) fn sign(&self, claims: &Value) -> String {
        self.sign_as(claims, |_| {})
    }

    pub(super) fn sign_as(&self, claims: &Value, change: impl FnOnce(&mut Header)) -> String {
        let mut header = Header::new(self.algorithm);
        header.kid = self.jwk["kid"].as_str().map(str::to_owned);
        change(&mut header);
        jsonwebtoken::encode(&header, claims, &self.key).unwrap()
    }
}

#[derive(Clone)]
pub(super) struct FakeIssuer(Arc<Mutex<Published>>);

struct Published {
    discovery: Value,
    keys: Vec<Value>,
    fetches: u32,
    fails: bool,
}

impl FakeIssuer {
    pub(super) async fn start(keys: &[&SigningKey]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let discovery = json!({"issuer": url, "jwks_uri": format!("{url}/keys")});
        let keys = keys.iter().map(|key| key.jwk.clone()).collect();
        let issuer = Self(Arc::new(Mutex::new(Published {
            discovery,
            keys,
            fetches: 0,
            fails: false,
        })));
        let app = Router::new()
            .route("/.well-known/openid-configuration", routing::get(discover))
            .route("/keys", routing::get(keys_of))
            .with_state(issuer.clone());
        tokio::spawn(async { axum::serve(listener, app).await });
        issuer
    }

    pub(super) fn url(&self) -> String {
        let published = self.0.lock().unwrap();
        // Where the keys are, whatever the document was made to say of the issuer.
        let keys = published.discovery["origin"]
            .as_str()
            .or(published.discovery["issuer"].as_str());
        keys.unwrap().to_owned()
    }

    pub(super) fn claim_in_discovery(&self, member: &str, value: &str) {
        let url = self.url();
        let mut published = self.0.lock().unwrap();
        published.discovery["origin"] = url.into();
        published.discovery[member] = value.into();
    }

    pub(super) fn publish(&self, keys: Vec<Value>) {
        self.0.lock().unwrap().keys = keys;
    }

    pub(super) fn fail(&self, fails: bool) {
        self.0.lock().unwrap().fails = fails;
    }

    /// How often the keys were fetched.
    pub(super) fn fetches(&self) -> u32 {
        self.0.lock().unwrap().fetches
    }
}

async fn discover(State(issuer): State<FakeIssuer>) -> Result<Json<Value>, StatusCode> {
    let published = issuer.0.lock().unwrap();
    if published.fails {
        Err(StatusCode::BAD_GATEWAY)
    } else {
        Ok(Json(published.discovery.clone()))
    }
}

async fn keys_of(State(issuer): State<FakeIssuer>) -> Json<Value> {
    let mut published = issuer.0.lock().unwrap();
    published.fetches += 1;
    Json(json!({"keys": published.keys}))
}
