//! Numbers that look random and come again with their seed (`SplitMix64`).

/// A source of them.
#[derive(Clone, Debug)]
pub(super) struct Random(u64);

impl Random {
    pub(super) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A source of its own for the n-th of something, whatever the others draw.
    pub(super) fn of(seed: u64, n: usize) -> Self {
        let mut first = Self(seed ^ (n as u64).wrapping_mul(0xa076_1d64_78bd_642f));
        Self(first.next())
    }

    pub(super) const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Below `most`, which is more than 0.
    pub(super) fn below(&mut self, most: usize) -> usize {
        usize::try_from(self.next() % (most.max(1) as u64)).unwrap_or(0)
    }

    pub(super) fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    /// One of `items`, of which there is at least one.
    pub(super) fn pick<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        let index = self.below(items.len());
        items.get(index).expect("there is something to pick from")
    }

    /// `most` of `items` at most and at least one, in any order.
    pub(super) fn some<T: Clone>(&mut self, items: &[T], least: usize, most: usize) -> Vec<T> {
        let mut left = items.to_vec();
        let count = least + self.below(most - least + 1);
        (0..count.min(items.len())).map(|_| left.remove(self.below(left.len()))).collect()
    }
}
