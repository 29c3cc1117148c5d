//! What belongs to a future and is its thread's while it is polled.

use std::cell::Cell;
use std::thread::LocalKey;

/// A value on its thread, which goes back to its future when this is dropped, also by unwinding.
pub(crate) struct Swapped<'a, T: Copy + 'static> {
    cell: &'static LocalKey<Cell<Option<T>>>,
    before: Option<T>,
    home: &'a mut T,
}

impl<'a, T: Copy> Swapped<'a, T> {
    /// Lends the value to the thread.
    #[inline]
    pub(crate) fn lend(cell: &'static LocalKey<Cell<Option<T>>>, home: &'a mut T) -> Self {
        Self {
            cell,
            before: cell.replace(Some(*home)),
            home,
        }
    }
}

impl<T: Copy> Drop for Swapped<'_, T> {
    #[inline]
    fn drop(&mut self) {
        if let Some(value) = self.cell.replace(self.before) {
            *self.home = value;
        }
    }
}
