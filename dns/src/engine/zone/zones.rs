//! The zones of one server. None lies inside another, so a name lies in one of them or in none.

use common::name::Zone;

use super::super::asked::AskedName;
use super::ZoneData;
use super::names::Relative;

/// Most zones of one server: each is looked at for each question.
pub const ZONES_MAX: usize = 32;

/// The zones.
#[derive(Clone, Debug)]
pub struct Zones(Vec<ZoneData>);

/// Why zones cannot stand together.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ZonesError {
    /// There is none, or more than are looked through.
    #[error("a server has between 1 and {ZONES_MAX} zones")]
    Count,
    /// One is the other or lies in it, and would have to be delegated by it.
    #[error("zone \"{0}\" lies in zone \"{1}\"; a server serves one of them")]
    Nested(String, String),
}

impl Zones {
    /// Puts `zones` together.
    ///
    /// # Errors
    /// See [`ZonesError`].
    pub fn new(zones: Vec<ZoneData>) -> Result<Self, ZonesError> {
        check(zones.iter().map(ZoneData::grammar))?;
        Ok(Self(zones))
    }

    /// The zone that `name` lies in, and where in it.
    #[must_use]
    pub fn find<'a>(&self, name: &'a AskedName) -> Option<(&ZoneData, Relative<'a>)> {
        self.0.iter().find_map(|zone| match zone.relative(name) {
            Relative::Outside => None,
            place => Some((zone, place)),
        })
    }

    /// All of them, in the order of the configuration.
    pub fn iter(&self) -> impl Iterator<Item = &ZoneData> {
        self.0.iter()
    }

    /// The first.
    ///
    /// # Panics
    /// Never: [`new`](Self::new) refuses an empty list.
    #[must_use]
    pub fn first(&self) -> &ZoneData {
        self.0.first().expect("`new` refuses an empty list")
    }
}

/// Whether `zones` can stand together.
///
/// # Errors
/// See [`ZonesError`].
pub fn check<'a>(zones: impl Iterator<Item = &'a Zone>) -> Result<(), ZonesError> {
    let zones: Vec<&Zone> = zones.collect();
    if zones.is_empty() || zones.len() > ZONES_MAX {
        return Err(ZonesError::Count);
    }
    for (n, inner) in zones.iter().enumerate() {
        for (m, outer) in zones.iter().enumerate() {
            if n != m && outer.contains(inner.as_str()) {
                return Err(ZonesError::Nested(inner.to_string(), outer.to_string()));
            }
        }
    }
    Ok(())
}
