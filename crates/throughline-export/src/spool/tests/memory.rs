//! A disk in memory, with every fault that a disk has.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

use crate::spool::storage::Storage;

/// Clones are the same disk.
#[derive(Debug, Clone, Default)]
pub(super) struct Memory(Arc<Mutex<Disk>>);

#[derive(Debug, Default)]
pub(super) struct Disk {
    files: BTreeMap<String, Content>,
    /// Files whose removal is not on the disk yet.
    removed: BTreeMap<String, Vec<u8>>,
    /// The operations that fail, each so many times from now on.
    faults: Vec<(Operation, u32)>,
    /// How many bytes of a failing write are written.
    torn_at: usize,
    /// After how many operations the process is killed.
    killed_in: Option<u32>,
    killed: bool,
    /// The largest size of all files that a write or a truncation left.
    peak: u64,
}

#[derive(Debug, Default)]
struct Content {
    now: Vec<u8>,
    synced: Vec<u8>,
    listed: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operation {
    Create,
    Write,
    Truncate,
    Sync,
    Read,
    Remove,
}

impl Memory {
    pub(super) fn disk(&self) -> MutexGuard<'_, Disk> {
        self.0.lock().unwrap()
    }

    fn operate<T>(
        &self,
        operation: Operation,
        whole: impl FnOnce(&mut Disk) -> T,
        torn: impl FnOnce(&mut Disk),
    ) -> io::Result<T> {
        let mut disk = self.disk();
        if disk.killed {
            return Err(io::Error::other("the process is gone"));
        }
        let last = disk.killed_in.as_mut().is_some_and(|left| {
            *left = left.saturating_sub(1);
            *left == 0
        });
        let fault = disk.faults.iter_mut().find(|(of, _)| *of == operation);
        let fails = fault.is_some_and(|(_, times)| {
            *times -= 1;
            true
        });
        disk.faults.retain(|(_, times)| *times > 0);
        disk.killed = last;
        let result = if last || fails {
            torn(&mut disk);
            // No space left on device, and input/output error.
            let number = if operation == Operation::Write { 28 } else { 5 };
            Err(io::Error::from_raw_os_error(number))
        } else {
            Ok(whole(&mut disk))
        };
        if matches!(operation, Operation::Write | Operation::Truncate) {
            disk.peak = disk.peak.max(disk.bytes());
        }
        result
    }
}

impl Disk {
    pub(super) fn bytes(&self) -> u64 {
        self.files.values().map(|file| file.now.len() as u64).sum()
    }

    pub(super) fn peak(&self) -> u64 {
        self.peak
    }

    pub(super) fn names(&self) -> Vec<String> {
        self.files.keys().cloned().collect()
    }

    pub(super) fn put(&mut self, name: &str, content: &[u8]) {
        let file = self.files.entry(name.to_owned()).or_default();
        file.now = content.to_vec();
        file.synced = content.to_vec();
        file.listed = true;
    }

    pub(super) fn content(&mut self, name: &str) -> &mut Vec<u8> {
        &mut self.files.get_mut(name).unwrap().now
    }

    pub(super) fn fail(&mut self, operation: Operation, times: u32) {
        self.faults.push((operation, times));
    }

    pub(super) fn tear_at(&mut self, bytes: usize) {
        self.torn_at = bytes;
    }

    pub(super) fn kill_in(&mut self, operations: u32) {
        self.killed_in = Some(operations);
    }

    pub(super) fn is_killed(&self) -> bool {
        self.killed
    }

    /// Another process starts: what was written is there, and nothing is wrong with
    /// the disk.
    pub(super) fn restart(&mut self) {
        self.killed = false;
        self.killed_in = None;
        self.faults.clear();
    }

    /// The machine loses its power. Of what is not on the disk, anything may be.
    pub(super) fn lose_power(&mut self, chance: &mut fastrand::Rng) {
        for (name, content) in std::mem::take(&mut self.removed) {
            if chance.bool() {
                self.put(&name, &content);
            }
        }
        self.files.retain(|_, file| file.listed || chance.bool());
        for file in self.files.values_mut() {
            let mut left = std::mem::take(&mut file.synced);
            // Pages that were written on the way, in any order, and perhaps a length
            // without its content.
            let length = left.len().max(chance.usize(..=file.now.len()));
            left.resize(length, 0);
            for (at, byte) in file.now.chunks(16).enumerate() {
                if chance.bool() {
                    let start = at * 16;
                    let end = (start + byte.len()).min(left.len());
                    if start < end {
                        left[start..end].copy_from_slice(&byte[..end - start]);
                    }
                }
            }
            file.synced.clone_from(&left);
            file.now = left;
        }
    }

    /// Flips one bit of what is stored, if there is any.
    pub(super) fn flip(&mut self, at: usize) -> bool {
        let total: usize = self.files.values().map(|file| file.now.len() * 8).sum();
        if total == 0 {
            return false;
        }
        let mut bit = at % total;
        for file in self.files.values_mut() {
            if bit < file.now.len() * 8 {
                file.now[bit / 8] ^= 1 << (bit % 8);
                if let Some(byte) = file.synced.get_mut(bit / 8) {
                    *byte ^= 1 << (bit % 8);
                }
                return true;
            }
            bit -= file.now.len() * 8;
        }
        false
    }
}

impl Storage for Memory {
    fn list(&mut self) -> io::Result<Vec<(String, u64)>> {
        let files = &self.disk().files;
        let length = |(name, file): (&String, &Content)| (name.clone(), file.now.len() as u64);
        Ok(files.iter().map(length).collect())
    }

    fn create(&mut self, name: &str) -> io::Result<()> {
        let create = |disk: &mut Disk| {
            disk.files.insert(name.to_owned(), Content::default());
        };
        self.operate(Operation::Create, create, |_| {})
    }

    fn write(&mut self, name: &str, offset: u64, parts: &[&[u8]]) -> io::Result<()> {
        let bytes = parts.concat();
        let start = usize::try_from(offset).unwrap();
        let write = |disk: &mut Disk, bytes: &[u8]| {
            let content = disk.content(name);
            let length = content.len().max(start + bytes.len());
            content.resize(length, 0);
            content[start..start + bytes.len()].copy_from_slice(bytes);
        };
        self.operate(
            Operation::Write,
            |disk| write(disk, &bytes),
            |disk| write(disk, &bytes[..disk.torn_at.min(bytes.len())]),
        )
    }

    fn truncate(&mut self, name: &str, length: u64) -> io::Result<()> {
        let length = usize::try_from(length).unwrap();
        let truncate = |disk: &mut Disk| disk.content(name).truncate(length);
        self.operate(Operation::Truncate, truncate, |_| {})
    }

    fn sync(&mut self, name: &str) -> io::Result<()> {
        let sync = |disk: &mut Disk| {
            let file = disk.files.get_mut(name).unwrap();
            file.synced.clone_from(&file.now);
        };
        self.operate(Operation::Sync, sync, |_| {})
    }

    fn sync_directory(&mut self) -> io::Result<()> {
        let sync = |disk: &mut Disk| {
            disk.removed.clear();
            disk.files.values_mut().for_each(|file| file.listed = true);
        };
        self.operate(Operation::Sync, sync, |_| {})
    }

    fn read(&mut self, name: &str, at_most: u64) -> io::Result<Vec<u8>> {
        let at_most = usize::try_from(at_most).unwrap();
        let read = |disk: &mut Disk| {
            let content = disk.content(name);
            content[..content.len().min(at_most)].to_vec()
        };
        self.operate(Operation::Read, read, |_| {})
    }

    fn remove(&mut self, name: &str) -> io::Result<()> {
        let remove = |disk: &mut Disk| {
            if let Some(file) = disk.files.remove(name)
                && file.listed
            {
                disk.removed.insert(name.to_owned(), file.synced);
            }
        };
        self.operate(Operation::Remove, remove, |_| {})
    }
}
