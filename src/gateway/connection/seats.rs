//! How many connections there are, in all and of each address; a seat is given back by dropping it.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use dashmap::DashMap;
use foldhash::fast::RandomState;
use prometheus::IntGauge;

use crate::config::Network;

/// Why a connection is closed at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Full {
    /// `limits.connections_max`.
    All,
    /// `limits.connections_per_address_max`.
    Address,
}

impl Full {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Address => "address",
        }
    }
}

#[derive(Debug)]
pub(super) struct Seats {
    max: usize,
    per_address_max: usize,
    /// Balancers speak for many people.
    trusted: Vec<Network>,
    taken: AtomicUsize,
    of_address: DashMap<u128, usize, RandomState>,
    gauge: IntGauge,
}

/// One connection's place.
#[derive(Debug)]
pub(super) struct Seat {
    seats: Arc<Seats>,
    address: Option<u128>,
}

impl Seats {
    pub(super) fn new(max: usize, per_address_max: usize, trusted: Vec<Network>, gauge: IntGauge) -> Arc<Self> {
        let of_address = DashMap::with_hasher(RandomState::default());
        Arc::new(Self { max, per_address_max, trusted, taken: AtomicUsize::new(0), of_address, gauge })
    }

    pub(super) fn take(self: &Arc<Self>, address: Option<IpAddr>) -> Result<Seat, Full> {
        if self.taken.fetch_add(1, Relaxed) >= self.max {
            self.taken.fetch_sub(1, Relaxed);
            return Err(Full::All);
        }
        self.gauge.inc();
        let mut seat = Seat { seats: self.clone(), address: None };
        if let Some(address) = address {
            seat.count(address)?;
        }
        Ok(seat)
    }

    pub(super) fn is_trusted(&self, address: IpAddr) -> bool {
        self.trusted.iter().any(|network| network.contains(address))
    }
}

impl Seat {
    /// Counts the seat for an address too, unless a balancer has it. Once for each seat.
    pub(super) fn count(&mut self, address: IpAddr) -> Result<(), Full> {
        let address = address.to_canonical();
        if self.address.is_some() || self.seats.is_trusted(address) {
            return Ok(());
        }
        let key = key(address);
        let mut count = self.seats.of_address.entry(key).or_default();
        if *count >= self.seats.per_address_max {
            return Err(Full::Address);
        }
        *count += 1;
        drop(count);
        self.address = Some(key);
        Ok(())
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.seats.taken.fetch_sub(1, Relaxed);
        self.seats.gauge.dec();
        let Some(key) = self.address else { return };
        if let Some(mut count) = self.seats.of_address.get_mut(&key) {
            *count = count.saturating_sub(1);
        }
        self.seats.of_address.remove_if(&key, |_, count| *count == 0);
    }
}

/// An IPv4 address, or the /64 that one IPv6 customer has (RFC 6177).
fn key(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u128::from(u32::from(address)),
        IpAddr::V6(address) => u128::from(address) >> 64 << 64,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seats(max: usize, per_address_max: usize) -> Arc<Seats> {
        let trusted = vec!["10.0.0.0/8".parse().unwrap()];
        Seats::new(max, per_address_max, trusted, IntGauge::new("seats", "taken").unwrap())
    }

    fn take(seats: &Arc<Seats>, address: &str) -> Result<Seat, Full> {
        seats.take(Some(address.parse().unwrap()))
    }

    #[test]
    fn an_address_has_so_many_and_gets_them_back() {
        let seats = seats(10, 2);
        let first = take(&seats, "203.0.113.1").unwrap();
        let _second = take(&seats, "::ffff:203.0.113.1").unwrap();
        assert_eq!(take(&seats, "203.0.113.1").unwrap_err(), Full::Address);
        let _other = take(&seats, "203.0.113.2").unwrap();
        drop(first);
        let _again = take(&seats, "203.0.113.1").unwrap();
        assert_eq!((seats.gauge.get(), seats.of_address.len()), (3, 2));
    }

    #[test]
    fn a_network_of_ipv6_counts_as_one_and_a_balancer_as_many() {
        let seats = seats(10, 1);
        let _one = take(&seats, "2001:db8::1").unwrap();
        assert_eq!(take(&seats, "2001:db8::ffff:1").unwrap_err(), Full::Address);
        let _elsewhere = take(&seats, "2001:db8:0:1::1").unwrap();
        let _balancer = [take(&seats, "10.1.1.1").unwrap(), take(&seats, "10.1.1.1").unwrap()];
    }

    #[test]
    fn a_seat_of_a_balancer_is_counted_for_whom_it_speaks() {
        let seats = seats(10, 1);
        let mut first = take(&seats, "10.1.1.1").unwrap();
        first.count("203.0.113.1".parse().unwrap()).unwrap();
        let mut second = take(&seats, "10.1.1.1").unwrap();
        assert_eq!(second.count("203.0.113.1".parse().unwrap()), Err(Full::Address));
        second.count("10.2.2.2".parse().unwrap()).unwrap();
        drop(first);
        drop(second);
        assert_eq!((seats.gauge.get(), seats.of_address.len()), (0, 0));
    }

    #[test]
    fn there_are_no_more_than_so_many_in_all() {
        let seats = seats(2, 10);
        let held = [take(&seats, "203.0.113.1").unwrap(), take(&seats, "203.0.113.2").unwrap()];
        assert_eq!(take(&seats, "203.0.113.3").unwrap_err(), Full::All);
        drop(held);
        assert_eq!((seats.gauge.get(), seats.of_address.len()), (0, 0));
    }
}
