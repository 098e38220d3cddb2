//! A zone that signs, whoever asks it, and the library that checks what it says.

use super::*;

/// A zone, its server, and whoever asks.
pub(super) struct World {
    pub(super) server: Server,
    pub(super) zones: Zones,
    pub(super) moment: Moment,
    pub(super) wall: i64,
    pub(super) dnssec_ok: bool,
    pub(super) compact_ok: bool,
}

impl World {
    pub(super) fn new(roles: &[Role]) -> Self {
        let keys: Vec<_> = roles
            .iter()
            .zip(1..)
            .map(|(role, n)| (*role, signer(n)))
            .collect();
        Self::signed((!keys.is_empty()).then(|| signing(keys)))
    }

    pub(super) fn with(keys: Vec<(Role, Arc<dyn Signer>)>) -> Self {
        Self::signed(Some(signing(keys)))
    }

    pub(super) fn signed(signing: Option<SigningConfig>) -> Self {
        let zone = ZoneData::new(&zone_config(signing)).unwrap();
        let zones = Zones::new(vec![zone]).unwrap();
        let snapshot = Snapshot::new(zones.clone(), AnswerConfig::default());
        let mut world = Self {
            server: Server::new(Arc::new(snapshot), Arc::default(), Generator::from_seed(1)),
            zones,
            moment: Moment::ZERO,
            wall: NOON,
            dnssec_ok: true,
            compact_ok: false,
        };
        world.live(&["192.0.2.1", "192.0.2.2", "2001:db8::1"]);
        world
    }

    pub(super) fn live(&mut self, ips: &[&str]) {
        let config = AnswerConfig {
            https: Some(vec!["h2".to_owned()]),
            ..AnswerConfig::default()
        };
        let ips = ips.iter().map(|ip| ip.parse::<IpAddr>().unwrap());
        let snapshot = Snapshot::new(self.zones.clone(), config);
        let snapshot = snapshot.with_live(LiveSet::new(ips, None));
        self.server.publish(Arc::new(snapshot));
    }

    pub(super) fn ask(&mut self, name: &str, qtype: T) -> Reply {
        self.ask_name(named(name), qtype)
    }

    pub(super) fn ask_name(&mut self, name: Name, qtype: T) -> Reply {
        let now = Now {
            moment: self.moment,
            wall: WallTime::from_unix(self.wall),
        };
        let edns = Edns {
            version: 0,
            payload: 1_232,
            dnssec_ok: self.dnssec_ok,
            compact_ok: self.compact_ok,
            client_subnet: None,
            cookie: None,
            nsid_asked: false,
        };
        let inquiry = Inquiry {
            operation: OpCode::Query,
            from: "198.51.100.7".parse().unwrap(),
            transport: Transport::Udp,
            edns: Some(edns),
            room: 16,
            question: Some(Question {
                name,
                qtype,
                qclass: DNSClass::IN,
            }),
        };
        self.server.handle_inquiry_at(now, &inquiry)
    }

    /// How many sets the reply has, after every signature of each was verified.
    pub(super) fn verified(&self, reply: &Reply) -> usize {
        let ring = self.zones.first().ring().unwrap();
        let keys = ring
            .records(T::DNSKEY)
            .iter()
            .map(|record| match &record.data {
                RData::DNSSEC(DNSSECRData::DNSKEY(key)) => key.clone(),
                other => panic!("{other}"),
            });
        let keys: Vec<DNSKEY> = keys.collect();
        let mut sets = 0;
        for section in [&reply.answers, &reply.authority, &reply.additional] {
            let same =
                |a: &Record, b: &Record| a.name == b.name && a.record_type() == b.record_type();
            let groups: Vec<&[Record]> = section.chunk_by(same).collect();
            assert_eq!(
                groups.len() % 2,
                0,
                "each set has signatures behind it: {section:?}"
            );
            for pair in groups.chunks(2) {
                for signature in signatures(pair[1]) {
                    let tag = signature.input().key_tag;
                    let key = keys
                        .iter()
                        .find(|key| key.calculate_key_tag().unwrap() == tag);
                    let name = &pair[0][0].name;
                    let holds =
                        key.unwrap()
                            .verify_rrsig(name, DNSClass::IN, signature, pair[0].iter());
                    assert!(holds.is_ok(), "{:?}", pair[0]);
                    assert_eq!(signature.input().original_ttl, pair[0][0].ttl);
                }
                sets += 1;
            }
        }
        sets
    }
}

pub(super) fn signatures(records: &[Record]) -> Vec<&RRSIG> {
    let of = |record| match record {
        &Record {
            data: RData::DNSSEC(DNSSECRData::RRSIG(ref signature)),
            ..
        } => Some(signature),
        _ => None,
    };
    records.iter().filter_map(of).collect()
}

pub(super) fn named(text: &str) -> Name {
    let labels = text.split('.').filter(|label| !label.is_empty());
    Name::from_labels(labels.map(str::as_bytes)).unwrap()
}

pub(super) fn has(records: &[Record], kind: T) -> bool {
    records.iter().any(|record| record.record_type() == kind)
}

/// The types that the denial lists, in the order of their numbers.
pub(super) fn types(reply: &Reply) -> Vec<T> {
    let nsec = reply
        .authority
        .iter()
        .find_map(|record| match &record.data {
            RData::DNSSEC(DNSSECRData::NSEC(nsec)) => Some(nsec),
            _ => None,
        });
    let mut types: Vec<T> = nsec.expect("a denial").type_bit_maps().collect();
    types.sort_by_key(|kind| u16::from(*kind));
    types
}

pub(super) fn signing(keys: Vec<(Role, Arc<dyn Signer>)>) -> SigningConfig {
    SigningConfig {
        keys,
        life: LIFE,
        parent: ParentSignal::Keys,
    }
}

pub(super) fn zone_config(signing: Option<SigningConfig>) -> ZoneConfig {
    let records = [
        "@ MX 10 mail",
        "mail A 192.0.2.5",
        "far CNAME www-example-com.nyud.test",
        "half CNAME mail",
        "docs CNAME pages.example.net",
    ];
    ZoneConfig {
        zone: Zone::parse("nyud.test").unwrap(),
        servers: vec![NameServer {
            name: "ns1.nyud.test".to_owned(),
            addresses: vec!["192.0.2.53".parse().unwrap()],
        }],
        hostmaster: "Host.Master@nyud.test".to_owned(),
        serial: 1,
        services: vec!["www".to_owned()],
        records: records.map(str::to_owned).to_vec(),
        signing,
        negative_ttl: 30,
    }
}

/// The `n`th key of this run.
pub(super) fn signer(n: usize) -> Arc<dyn Signer> {
    static MADE: Mutex<Vec<Vec<u8>>> = Mutex::new(Vec::new());
    let algorithm = Algorithm::ECDSAP256SHA256;
    let mut made = MADE.lock().unwrap();
    while made.len() <= n {
        let der = EcdsaSigningKey::generate_pkcs8(algorithm).unwrap();
        made.push(der.secret_pkcs8_der().to_vec());
    }
    let der = made[n].as_slice().into();
    Arc::new(LibraryKey(
        EcdsaSigningKey::from_pkcs8(&der, algorithm).unwrap(),
    ))
}

pub(super) struct LibraryKey(EcdsaSigningKey);

impl std::fmt::Debug for LibraryKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("LibraryKey")
    }
}

impl Signer for LibraryKey {
    fn public_key(&self) -> [u8; 64] {
        let public = self.0.to_public_key().unwrap();
        public.into_inner().try_into().unwrap()
    }

    fn sign(&self, message: &[u8]) -> Option<[u8; 64]> {
        self.0.sign(&TBS::from(message)).ok()?.try_into().ok()
    }
}
