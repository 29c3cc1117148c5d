//! The files of a spool, as the little that it needs of them.
//!
//! Owns the trait and the real file system. Every operation names its file and
//! leaves nothing open, so running out of descriptors fails an operation and not
//! the spool. Must not know what the bytes mean.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use super::error::SpoolError;

/// A folder of files.
///
/// Errors are the operating system's. A write that fails may have written any
/// number of its bytes.
pub(super) trait Storage: Send {
    /// The names and lengths of all files.
    fn list(&mut self) -> io::Result<Vec<(String, u64)>>;
    /// Makes a new and empty file.
    fn create(&mut self, name: &str) -> io::Result<()>;
    /// Writes these bytes, one part behind the other.
    fn write(&mut self, name: &str, offset: u64, parts: &[&[u8]]) -> io::Result<()>;
    /// Cuts a file.
    fn truncate(&mut self, name: &str, length: u64) -> io::Result<()>;
    /// Returns when the content of a file is on the disk.
    fn sync(&mut self, name: &str) -> io::Result<()>;
    /// Returns when the list of files is on the disk.
    fn sync_directory(&mut self) -> io::Result<()>;
    /// Reads a file from its start, up to a length.
    fn read(&mut self, name: &str, at_most: u64) -> io::Result<Vec<u8>>;
    fn remove(&mut self, name: &str) -> io::Result<()>;
}

/// A directory that this process has to itself.
#[derive(Debug)]
pub(super) struct Directory {
    path: PathBuf,
    /// Unlocked by the operating system when the process ends, however it does.
    lock: File,
}

/// The name of the file that is locked.
const LOCK: &str = "lock";

impl Directory {
    /// Makes the directory if it is missing, and locks it. Does not wait for whoever
    /// holds the lock: the application is starting, and a predecessor that still works
    /// may do so for as long as it likes.
    pub(super) fn open(path: &Path) -> Result<Self, SpoolError> {
        let unusable = |source| SpoolError::unusable(path, source);
        let mut builder = DirBuilder::new();
        builder.recursive(true);
        // Spans tell of users; nobody else is to read them.
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        let is_new = !path.exists();
        builder.create(path).map_err(unusable)?;
        if is_new {
            // What is on the disk in a directory that is not is not on the disk. Some of
            // these are not ours to open, and were there before.
            for parent in path.ancestors().skip(1) {
                let _ = sync_directory(parent);
            }
        }
        let lock = writable()
            .create(true)
            .truncate(false)
            .open(path.join(LOCK))
            .map_err(unusable)?;
        match lock.try_lock() {
            Ok(()) => Ok(Self {
                path: path.to_owned(),
                lock,
            }),
            Err(TryLockError::WouldBlock) => Err(SpoolError::in_use(path)),
            Err(TryLockError::Error(source)) => Err(unusable(source)),
        }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    fn open_file(&self, name: &str) -> io::Result<File> {
        writable().open(self.file(name))
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        // Closing would not do: a child that was forked a moment ago, and is about to
        // become another program, has the file open, too. If this fails, closing is all
        // that can be done.
        let _ = self.lock.unlock();
    }
}

fn sync_directory(path: &Path) -> io::Result<()> {
    // Elsewhere a directory cannot be opened as a file.
    if !cfg!(unix) {
        return Ok(());
    }
    match File::open(path)?.sync_all() {
        // A file system that has no such thing, and never will.
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported
            ) =>
        {
            Ok(())
        }
        result => result,
    }
}

fn writable() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

impl Storage for Directory {
    fn list(&mut self) -> io::Result<Vec<(String, u64)>> {
        let mut files = Vec::new();
        for entry in fs::read_dir(&self.path)? {
            let entry = entry?;
            // What has such a name is not ours.
            let Ok(name) = entry.file_name().into_string() else {
                continue;
            };
            // Not followed if it is a link, so a directory or a link is not ours either.
            if let Ok(metadata) = entry.metadata()
                && metadata.is_file()
            {
                files.push((name, metadata.len()));
            }
        }
        Ok(files)
    }

    fn create(&mut self, name: &str) -> io::Result<()> {
        writable().create_new(true).open(self.file(name)).map(drop)
    }

    fn write(&mut self, name: &str, offset: u64, parts: &[&[u8]]) -> io::Result<()> {
        let mut file = self.open_file(name)?;
        file.seek(SeekFrom::Start(offset))?;
        parts.iter().try_for_each(|part| file.write_all(part))
    }

    fn truncate(&mut self, name: &str, length: u64) -> io::Result<()> {
        self.open_file(name)?.set_len(length)
    }

    fn sync(&mut self, name: &str) -> io::Result<()> {
        self.open_file(name)?.sync_data()
    }

    fn sync_directory(&mut self) -> io::Result<()> {
        sync_directory(&self.path)
    }

    fn read(&mut self, name: &str, at_most: u64) -> io::Result<Vec<u8>> {
        let file = File::open(self.file(name))?;
        let length = file.metadata()?.len().min(at_most);
        let mut bytes = Vec::new();
        // A length that lies must not end the process.
        bytes
            .try_reserve_exact(usize::try_from(length).unwrap_or(usize::MAX))
            .map_err(|_| io::Error::from(io::ErrorKind::OutOfMemory))?;
        file.take(at_most).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    fn remove(&mut self, name: &str) -> io::Result<()> {
        match fs::remove_file(self.file(name)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            result => result,
        }
    }
}
