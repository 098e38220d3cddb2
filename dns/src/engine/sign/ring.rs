//! The keys of a zone and what is published of them: DNSKEY, CDS and CDNSKEY records, and the DS
//! record for the parent.
//!
//! Each key signs keys and data alike (a combined signing key, RFC 9499): the keys are on this
//! machine in either case. A key goes through three roles, and the operator moves it when the time
//! has come; with that, a key roll is a change of configuration (RFC 6781 §4.1.2, double DS):
//!
//! | role | in DNSKEY | signs the keys | signs data | in CDS |
//! |---|---|---|---|---|
//! | published | yes | yes | no | yes |
//! | active | yes | yes | yes | yes |
//! | retired | yes | yes | no | no |

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use hickory_proto::dnssec::rdata::{CDNSKEY, CDS, DNSKEY, DNSSECRData, DS};
use hickory_proto::dnssec::{Algorithm, DigestType, PublicKeyBuf};
use hickory_proto::rr::{Name, RData, Record, RecordType};

use super::signer::Signer;

/// Most keys of a zone: with their signatures they fit one datagram, and a roll needs two.
pub const KEYS_MAX: usize = 3;

/// TTL of DNSKEY, CDS and CDNSKEY, in seconds: an hour, which is also how long each step of a key
/// roll takes at least.
pub const KEY_TTL: u32 = 3_600;

/// Flags of a key that signs the zone and that the parent points at (RFC 4034 §2.1.1).
const ZONE_KEY_AND_ENTRY_POINT: u16 = 257;

/// What a key is used for at present.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Role {
    /// Known to the world, but nothing depends on it yet.
    Published,
    /// Signs everything.
    Active,
    /// Still known, since signatures of it may be remembered somewhere.
    Retired,
}

impl Role {
    /// Every role, in the order of a key's life.
    pub const ALL: [Self; 3] = [Self::Published, Self::Active, Self::Retired];

    /// The word in settings, logs and on the state page.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Published => "published",
            Self::Active => "active",
            Self::Retired => "retired",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What the parent is told by CDS and CDNSKEY records (RFC 7344, RFC 8078).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ParentSignal {
    /// To point at the published and active keys.
    Keys,
    /// Nothing: the operator tells it.
    None,
    /// To drop its DS records, before signing ends (RFC 8078 §4).
    Delete,
}

/// How a zone is signed.
#[derive(Clone, Debug)]
pub struct SigningConfig {
    /// The keys; exactly one is active.
    pub keys: Vec<(Role, Arc<dyn Signer>)>,
    /// How long a signature is valid from the moment when it is made. As long as this, somebody who
    /// recorded an answer can show it to others.
    pub life: Duration,
    /// What the parent is told.
    pub parent: ParentSignal,
}

/// Why keys make no ring.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum RingError {
    /// None of them, or several, are active.
    #[error("{0} keys are active; exactly one signs the zone, others are published or retired")]
    Active(usize),
    /// Too many.
    #[error("{0} keys are more than the {KEYS_MAX} that one answer holds; take out a retired one")]
    Count(usize),
    /// Two that signatures do not tell apart.
    #[error("two keys have the same tag, {0}; make another key")]
    SameTag(u16),
    /// A public key that the library takes for none.
    #[error("a public key is not one of ECDSA P-256")]
    Key,
}

/// One key.
#[derive(Clone, Debug)]
pub struct Key {
    /// What it is used for.
    pub role: Role,
    /// Its tag (RFC 4034 appendix B).
    pub tag: u16,
    /// Its DS record for the parent.
    pub ds: DS,
    dnskey: DNSKEY,
    signer: Arc<dyn Signer>,
}

impl Key {
    /// The public half as a record.
    #[must_use]
    pub const fn dnskey(&self) -> &DNSKEY {
        &self.dnskey
    }

    /// The private half.
    #[must_use]
    pub fn signer(&self) -> &dyn Signer {
        &*self.signer
    }
}

/// The keys of one zone.
#[derive(Clone, Debug)]
pub struct Ring {
    origin: Name,
    keys: Vec<Key>,
    life: Duration,
    dnskeys: Vec<Record>,
    cds: Vec<Record>,
    cdnskeys: Vec<Record>,
}

impl Ring {
    /// The ring of the zone `origin`.
    ///
    /// # Errors
    /// See [`RingError`].
    pub fn new(origin: &Name, config: &SigningConfig) -> Result<Self, RingError> {
        if config.keys.len() > KEYS_MAX {
            return Err(RingError::Count(config.keys.len()));
        }
        let mut keys: Vec<Key> = Vec::with_capacity(config.keys.len());
        for (role, signer) in &config.keys {
            let key = key(origin, *role, Arc::clone(signer)).ok_or(RingError::Key)?;
            if keys.iter().any(|other| other.tag == key.tag) {
                return Err(RingError::SameTag(key.tag));
            }
            keys.push(key);
        }
        let active = keys.iter().filter(|key| key.role == Role::Active).count();
        if active != 1 {
            return Err(RingError::Active(active));
        }
        let record = |data| Record::from_rdata(origin.clone(), KEY_TTL, RData::DNSSEC(data));
        let dnskey = |key: &Key| record(DNSSECRData::DNSKEY(key.dnskey.clone()));
        let signal = signals(&keys, config.parent);
        let (cds, cdnskeys): (Vec<_>, Vec<_>) = signal.into_iter().unzip();
        Ok(Self {
            origin: origin.clone(),
            dnskeys: keys.iter().map(dnskey).collect(),
            cds: cds
                .into_iter()
                .map(|d| record(DNSSECRData::CDS(d)))
                .collect(),
            cdnskeys: cdnskeys
                .into_iter()
                .map(|d| record(DNSSECRData::CDNSKEY(d)))
                .collect(),
            keys,
            life: config.life,
        })
    }

    /// The zone.
    #[must_use]
    pub const fn origin(&self) -> &Name {
        &self.origin
    }

    /// All keys.
    #[must_use]
    pub fn keys(&self) -> &[Key] {
        &self.keys
    }

    /// How long signatures are valid.
    #[must_use]
    pub const fn life(&self) -> Duration {
        self.life
    }

    /// The keys that sign records of type `covered`: all of them sign what is said of keys, so that
    /// whichever of them the parent points at proves it (RFC 4035 §2.2, RFC 7344 §4.1).
    pub fn signing(&self, covered: RecordType) -> impl Iterator<Item = &Key> {
        let all = is_of_keys(covered);
        let signs = move |key: &&Key| all || key.role == Role::Active;
        self.keys.iter().filter(signs)
    }

    /// The types of records about the keys.
    pub fn types(&self) -> impl Iterator<Item = RecordType> {
        let all = [RecordType::DNSKEY, RecordType::CDS, RecordType::CDNSKEY];
        all.into_iter()
            .filter(|kind| !self.records(*kind).is_empty())
    }

    /// Records of type `kind` about the keys; none for other types.
    #[must_use]
    pub fn records(&self, kind: RecordType) -> &[Record] {
        match kind {
            RecordType::DNSKEY => &self.dnskeys,
            RecordType::CDS => &self.cds,
            RecordType::CDNSKEY => &self.cdnskeys,
            _ => &[],
        }
    }
}

const fn is_of_keys(kind: RecordType) -> bool {
    matches!(
        kind,
        RecordType::DNSKEY | RecordType::CDS | RecordType::CDNSKEY
    )
}

fn key(origin: &Name, role: Role, signer: Arc<dyn Signer>) -> Option<Key> {
    let algorithm = Algorithm::ECDSAP256SHA256;
    let public = PublicKeyBuf::new(signer.public_key().to_vec(), algorithm);
    let dnskey = DNSKEY::with_flags(ZONE_KEY_AND_ENTRY_POINT, public);
    let tag = dnskey.calculate_key_tag().ok()?;
    let digest = dnskey.to_digest(origin, DigestType::SHA256).ok()?;
    let ds = DS::new(tag, algorithm, DigestType::SHA256, digest.as_ref().to_vec());
    Some(Key {
        role,
        tag,
        ds,
        dnskey,
        signer,
    })
}

fn signals(keys: &[Key], parent: ParentSignal) -> Vec<(CDS, CDNSKEY)> {
    match parent {
        ParentSignal::None => Vec::new(),
        // RFC 8078 §4: all fields zero.
        ParentSignal::Delete => vec![(
            CDS::new(0, None, DigestType::Unknown(0), vec![0]),
            CDNSKEY::with_flags(0, None, vec![0]),
        )],
        ParentSignal::Keys => {
            let wanted = keys.iter().filter(|key| key.role != Role::Retired);
            let signal = |key: &Key| {
                let (ds, dnskey) = (&key.ds, &key.dnskey);
                let algorithm = Some(ds.algorithm());
                let public = key.signer.public_key().to_vec();
                (
                    CDS::new(
                        ds.key_tag(),
                        algorithm,
                        ds.digest_type(),
                        ds.digest().to_vec(),
                    ),
                    CDNSKEY::with_flags(dnskey.flags(), algorithm, public),
                )
            };
            wanted.map(signal).collect()
        }
    }
}
