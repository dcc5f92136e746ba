//! The platforms of a table by number, in chunks: a changed platform copies one chunk.

use std::sync::Arc;

use super::platform::Platform;
use super::policy::Route;

const CHUNK: usize = 256; // 60 000 platforms are 240 chunks; to copy one costs as much as to copy their list

/// A platform with its routes beside it, so that a look-up finds the route without reading the platform: each would come
/// from memory, one after the other.
#[derive(Clone, Debug)]
struct Slot {
    platform: Arc<Platform>,
    routes: Arc<[Route]>,
}

/// All platforms. A clone shares every chunk until one of the two changes it.
#[derive(Clone, Debug, Default)]
pub(super) struct Platforms {
    chunks: Vec<Arc<Vec<Option<Slot>>>>, // `None`: withdrawn or refused, its number is not used again
    len: usize,
}

impl Platforms {
    /// The number that the next new platform gets.
    pub(super) fn next_number(&self) -> u32 {
        u32::try_from(self.len).unwrap_or(u32::MAX)
    }

    pub(super) fn get(&self, number: u32) -> Option<&Arc<Platform>> {
        self.slot(number).map(|slot| &slot.platform)
    }

    /// A platform and one of its routes.
    pub(super) fn route(&self, number: u32, route: u16) -> Option<(&Arc<Platform>, &Route)> {
        let Slot { platform, routes } = self.slot(number)?;
        Some((platform, routes.get(usize::from(route))?))
    }

    /// Every platform with its number.
    pub(super) fn iter(&self) -> impl Iterator<Item = (usize, &Arc<Platform>)> {
        let slots = self.chunks.iter().flat_map(|chunk| chunk.iter());
        slots.enumerate().filter_map(|(number, slot)| Some((number, &slot.as_ref()?.platform)))
    }

    /// Puts a platform in the place of `number`, or at the end; `None` takes it out.
    pub(super) fn set(&mut self, number: u32, platform: Option<Platform>) {
        let slot = platform.map(|platform| Slot { routes: Arc::clone(&platform.routes), platform: Arc::new(platform) });
        match self.chunks.get_mut(number as usize / CHUNK).map(Arc::make_mut) {
            Some(chunk) => match chunk.get_mut(number as usize % CHUNK) {
                Some(place) => *place = slot,
                None => self.push(slot),
            },
            None => self.push(slot),
        }
    }

    fn push(&mut self, slot: Option<Slot>) {
        match self.chunks.last_mut().filter(|chunk| chunk.len() < CHUNK).map(Arc::make_mut) {
            Some(chunk) => chunk.push(slot),
            None => self.chunks.push(Arc::new(vec![slot])),
        }
        self.len += 1;
    }

    fn slot(&self, number: u32) -> Option<&Slot> {
        self.chunks.get(number as usize / CHUNK)?.get(number as usize % CHUNK)?.as_ref()
    }
}

impl FromIterator<Option<Platform>> for Platforms {
    fn from_iter<T: IntoIterator<Item = Option<Platform>>>(platforms: T) -> Self {
        let mut all = Self::default();
        for platform in platforms {
            all.set(all.next_number(), platform);
        }
        all
    }
}
