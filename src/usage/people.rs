//! Distinct people, counted without keeping any of them.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use datasketches::hll::{HllSketch, HllType, HllUnion};

/// 2^11 places: 1 KiB when many people came, standard error 2.3 % (1.04 / √2048). Whether anybody uses a platform is told
/// exactly: a few people are kept as hashes of 26 bits each, which stand for nobody.
const PLACES_LOG2: u8 = 11;

/// A sketch of who came (HyperLogLog: Flajolet, Fusy, Gandouet, Meunier 2007; in the form of Apache DataSketches). What goes
/// in is a person's pairwise name at one platform, so sketches of two platforms say nothing about each other.
#[derive(Clone, Default)]
pub struct People(Option<HllSketch>);

impl People {
    /// Somebody came; coming again changes nothing.
    pub fn meet(&mut self, pairwise: &str) {
        if self.0.is_none() {
            self.0 = HllSketch::new(PLACES_LOG2, HllType::Hll4).ok();
        }
        if let Some(sketch) = &mut self.0 {
            sketch.update(pairwise);
        }
    }

    /// About how many they are.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an estimate of at most some billions")]
    pub fn count(&self) -> u64 {
        self.0.as_ref().map_or(0, |sketch| sketch.estimate().round().max(0.0) as u64)
    }

    /// Those who are in any of `all`.
    pub fn together<'a>(all: impl IntoIterator<Item = &'a Self>) -> Self {
        let Ok(mut union) = HllUnion::new(PLACES_LOG2) else { return Self::default() };
        all.into_iter().filter_map(|people| people.0.as_ref()).for_each(|sketch| union.update(sketch));
        Self((!union.is_empty()).then(|| union.to_sketch(HllType::Hll4)))
    }

    /// As a store keeps it: base64, empty for nobody.
    pub fn to_text(&self) -> String {
        self.0.as_ref().map_or_else(String::new, |sketch| STANDARD_NO_PAD.encode(sketch.serialize()))
    }

    /// Back from a store; `None` when it is no sketch.
    pub fn from_text(text: &str) -> Option<Self> {
        if text.is_empty() {
            return Some(Self::default());
        }
        let bytes = STANDARD_NO_PAD.decode(text).ok()?;
        HllSketch::deserialize(&bytes)
            .ok()
            .filter(|sketch| sketch.lg_config_k() == PLACES_LOG2)
            .map(|it| Self(Some(it)))
    }
}

impl fmt::Debug for People {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "People(about {})", self.count())
    }
}

impl PartialEq for People {
    fn eq(&self, other: &Self) -> bool {
        self.to_text() == other.to_text()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn crowd(numbers: std::ops::Range<u32>) -> People {
        let mut people = People::default();
        numbers.for_each(|number| people.meet(&format!("pairwise-{number}")));
        people
    }

    #[test]
    fn nobody_and_a_few_are_counted_exactly() {
        assert_eq!(People::default().count(), 0);
        for few in [1, 2, 5, 30] {
            assert_eq!(crowd(0..few).count(), u64::from(few));
        }
    }

    #[test]
    fn many_are_counted_within_a_tenth_and_take_a_kibibyte() {
        let many = crowd(0..100_000);
        assert!((90_000..110_000).contains(&many.count()), "{many:?}");
        assert!(many.to_text().len() < 1600, "{}", many.to_text().len());
    }

    #[test]
    fn who_comes_on_two_days_is_one_person() {
        let both = People::together([&crowd(0..600), &crowd(300..900), &People::default()]);
        assert!((850..950).contains(&both.count()), "{both:?}");
    }

    #[test]
    fn a_sketch_survives_its_store_and_what_is_none_is_refused() {
        for people in [People::default(), crowd(0..3), crowd(0..200), crowd(0..20_000)] {
            assert_eq!(People::from_text(&people.to_text()).unwrap().count(), people.count());
        }
        for text in ["!", "AAAA", "nonsense"] {
            assert!(People::from_text(text).is_none(), "{text}");
        }
    }
}
