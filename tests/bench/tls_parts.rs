//! What TLS computes, alone and one after the other: records sealed, a signature, a key exchange, hashes.
//!
//! The library is the proxy's. Beside it stands what `openssl speed` says of the same, which is what
//! HAProxy and nginx use.

use std::hint::black_box;
use std::time::Duration;

use aws_lc_rs::aead::{AES_128_GCM, AES_256_GCM, Aad, Algorithm, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::agreement::{EphemeralPrivateKey, UnparsedPublicKey, X25519, agree_ephemeral};
use aws_lc_rs::digest::{self, SHA256, SHA384};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair};
use rcgen::KeyPair;

use super::cpu::{Cpu, pin};
use super::{say, span};

/// Plaintext of a whole record (RFC 8446 §5.1), and records of the large page.
const RECORD: usize = 16 << 10;
const RECORDS: usize = (10 << 20) / RECORD;

/// A handshake hashes about as much at a time: a block or two.
const HASHED: usize = 128;

/// Arguments of `bench tls-parts`.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct PartsArgs {
    /// How long each is computed
    #[arg(long, value_name = "DURATION", default_value = "500ms", value_parser = span)]
    time: Duration,
}

/// Measures and prints the table.
pub(crate) fn run(args: &PartsArgs) {
    pin(None, 0);
    say(&format!("{:<44} {:>10}\n", "", "us CPU"));
    for (title, algorithm) in [
        ("AES-128-GCM, 10 MiB in records of 16 KiB", &AES_128_GCM),
        ("AES-256-GCM, the same", &AES_256_GCM),
    ] {
        let key = key(algorithm);
        let mut record = vec![0_u8; RECORD];
        let seal = || {
            for _ in 0..RECORDS {
                let nonce = Nonce::assume_unique_for_key([1; 12]);
                let sealed = key.seal_in_place_separate_tag(nonce, Aad::empty(), &mut record);
                let _tag = black_box(sealed.unwrap());
            }
        };
        tell(args, title, seal);
    }
    let (from, mut to) = (vec![1_u8; 64 << 10], vec![0_u8; 64 << 10]);
    tell(args, "10 MiB copied in pieces of 64 KiB", || {
        for _ in 0..RECORDS / 4 {
            to.copy_from_slice(black_box(&from));
            black_box(&to);
        }
    });
    let random = SystemRandom::new();
    let pkcs8 = KeyPair::generate().unwrap().serialize_der();
    let signer = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &pkcs8).unwrap();
    tell(args, "ECDSA signature, P-256", || {
        black_box(signer.sign(&random, &[7; 130]).unwrap());
    });
    let theirs = EphemeralPrivateKey::generate(&X25519, &random).unwrap();
    let theirs = theirs.compute_public_key().unwrap();
    tell(args, "X25519, a key made and agreed on", || {
        let ours = EphemeralPrivateKey::generate(&X25519, &random).unwrap();
        black_box(ours.compute_public_key().unwrap());
        let theirs = UnparsedPublicKey::new(&X25519, theirs.as_ref());
        let agreed = agree_ephemeral(ours, theirs, (), |secret| Ok(secret.len()));
        black_box(agreed.unwrap());
    });
    for (title, algorithm) in [
        ("SHA-256 of 128 bytes", &SHA256),
        ("SHA-384 of 128 bytes", &SHA384),
    ] {
        tell(args, title, || {
            black_box(digest::digest(algorithm, black_box(&[3; HASHED])));
        });
    }
}

fn key(algorithm: &'static Algorithm) -> LessSafeKey {
    let bytes = vec![9; algorithm.key_len()];
    LessSafeKey::new(UnboundKey::new(algorithm, &bytes).unwrap())
}

/// Does `work` for as long as was asked for, and says what it cost each time.
fn tell(args: &PartsArgs, title: &str, mut work: impl FnMut()) {
    let this = std::process::id();
    work();
    let (before, mut times) = (Cpu::exactly(this, None), 0_u32);
    let spent = loop {
        // To look is dear.
        for _ in 0..100 {
            work();
        }
        times += 100;
        let spent = Cpu::exactly(this, None).since(before).total();
        if spent >= args.time {
            break spent;
        }
    };
    let each = spent.as_secs_f64() * 1e6 / f64::from(times);
    say(&format!("{title:<44} {each:>10.2}\n"));
}
