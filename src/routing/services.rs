//! Routes by service item. For each item: a bit for every division that has filed it, and the holders of those divisions
//! in preorder; where a holder stands is the number of bits before its own. One bit is one cache line, so a rung without a
//! filing costs a read, where a binary search would cost ten. An item's arrays are copied only when a filing of it changes.

use std::sync::Arc;

use super::divisions::Divisions;
use crate::domain::Level;

/// Who answers an item in one division: 8 bytes, the bulk of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Holder {
    pub(super) platform: u32,
    pub(super) route: u16,
    pub(super) level: Level, // of the division
    pub(super) subtree: bool,
}

/// A holder and the number of its division.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) division: u32,
    pub(super) holder: Holder,
}

/// Where a climb starts and which item it looks for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Climb {
    pub(super) item: u32,
    /// Number of the division asked, `None` when a village or street was asked that only its prefix names: whoever
    /// answers for a division alone does not answer then.
    pub(super) asked: Option<u32>,
}

const WORDS: usize = 3;
const BITS: u32 = 192; // of WORDS words

/// The bits of `BITS` divisions and how many bits stand before them: half a cache line.
#[derive(Clone, Copy, Debug, Default)]
struct Block {
    bits: [u64; WORDS],
    before: u32,
}

/// All routes of one item.
#[derive(Clone, Debug, Default)]
struct ItemRoutes {
    blocks: Box<[Block]>,
    holders: Box<[Holder]>,
}

/// All routes by item. A clone shares every item until one of the two changes it.
#[derive(Clone, Debug)]
pub(super) struct Services {
    by_item: Box<[Arc<ItemRoutes>]>,
}

impl Services {
    /// `by_item`: for each item its entries, no division twice.
    pub(super) fn new(by_item: Vec<Vec<Entry>>) -> Self {
        Self { by_item: by_item.into_iter().map(|entries| Arc::new(ItemRoutes::new(entries))).collect() }
    }

    /// How many routes there are: items × divisions.
    pub(super) fn len(&self) -> usize {
        self.by_item.iter().map(|routes| routes.holders.len()).sum()
    }

    /// Who has filed exactly this division.
    pub(super) fn filed(&self, item: u32, division: u32) -> Option<Holder> {
        self.by_item.get(item as usize)?.find(division)
    }

    /// The nearest entry that answers, from division `from` up to the nation.
    pub(super) fn nearest(&self, divisions: &Divisions, climb: Climb, from: u32) -> Option<Entry> {
        let routes = self.by_item.get(climb.item as usize)?;
        let mut rung = from;
        loop {
            match routes.find(rung) {
                Some(holder) if holder.subtree || climb.asked == Some(rung) => {
                    return Some(Entry { division: rung, holder });
                }
                _ if rung == 0 => return None,
                _ => rung = divisions.above(rung),
            }
        }
    }

    /// Changes the entries of one item: those of `platform` go, `new` come in (their divisions held by nobody else).
    pub(super) fn change(&mut self, item: u32, platform: u32, new: impl Iterator<Item = Entry>) {
        let Some(routes) = self.by_item.get_mut(item as usize) else { return };
        let kept = routes.iter().filter(|entry| entry.holder.platform != platform);
        *routes = Arc::new(ItemRoutes::new(kept.chain(new).collect()));
    }
}

impl ItemRoutes {
    fn new(mut entries: Vec<Entry>) -> Self {
        entries.sort_by_key(|entry| entry.division); // most often sorted, or two sorted runs: one pass
        let last = entries.last().map_or(0, |entry| entry.division);
        let mut blocks = vec![Block::default(); (last / BITS) as usize + 1];
        for Entry { division, .. } in &entries {
            let (block, word, bit) = place(*division);
            if let Some(word) = blocks.get_mut(block).and_then(|block| block.bits.get_mut(word)) {
                *word |= 1 << bit;
            }
        }
        let mut before = 0;
        for block in &mut blocks {
            block.before = before;
            before += block.bits.iter().map(|word| word.count_ones()).sum::<u32>();
        }
        Self { blocks: blocks.into(), holders: entries.into_iter().map(|entry| entry.holder).collect() }
    }

    fn find(&self, division: u32) -> Option<Holder> {
        let (block, word, bit) = place(division);
        let Block { bits, before } = self.blocks.get(block)?;
        let own = *bits.get(word)?;
        if own & (1 << bit) == 0 {
            return None;
        }
        let below = own & ((1 << bit) - 1);
        let earlier: u32 = bits.iter().take(word).map(|word| word.count_ones()).sum();
        self.holders.get((before + earlier + below.count_ones()) as usize).copied()
    }

    fn iter(&self) -> impl Iterator<Item = Entry> {
        let words = self.blocks.iter().flat_map(|block| block.bits);
        let divisions = (0_u32..).zip(words).flat_map(|(number, word)| {
            let left = std::iter::successors(Some(word), |word| Some(word & word.wrapping_sub(1))); // lowest bit taken
            left.take_while(|word| *word != 0).map(move |word| number * 64 + word.trailing_zeros())
        });
        divisions.zip(&self.holders).map(|(division, holder)| Entry { division, holder: *holder })
    }
}

/// Block, word of the block and bit of the word.
fn place(division: u32) -> (usize, usize, u32) {
    let within = division % BITS;
    ((division / BITS) as usize, (within / 64) as usize, within % 64)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    const DIVISIONS: u32 = 3 * BITS;

    fn entry(division: u32, platform: u32) -> Entry {
        Entry { division, holder: Holder { platform, route: 0, level: Level::City, subtree: true } }
    }

    proptest! {
        #[test]
        fn every_division_is_held_by_whoever_filed_it_last(
            first in proptest::collection::btree_set(0..DIVISIONS, 0..400),
            second in proptest::collection::btree_set(0..DIVISIONS, 0..400),
        ) {
            let mut services = Services::new(vec![first.iter().map(|division| entry(*division, 1)).collect()]);
            let free = |division: &&u32| !first.contains(division);
            services.change(0, 2, second.iter().filter(free).map(|division| entry(*division, 2)));
            let mut expected: BTreeMap<u32, u32> = second.iter().map(|division| (*division, 2)).collect();
            expected.extend(first.iter().map(|division| (*division, 1)));
            prop_assert_eq!(services.len(), expected.len());
            for division in 0..=DIVISIONS {
                let found = services.filed(0, division).map(|holder| holder.platform);
                prop_assert_eq!(found, expected.get(&division).copied());
            }
        }
    }

    #[test]
    fn a_holder_takes_8_bytes_and_a_block_half_a_cache_line() {
        assert_eq!((size_of::<Holder>(), size_of::<Block>()), (8, 32));
    }
}
