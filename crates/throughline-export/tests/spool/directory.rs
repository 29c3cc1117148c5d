//! Which directories a spool takes, and whatever is in them.

use std::fs;
use std::path::Path;
use std::sync::atomic::Ordering;

use throughline_export::SpoolExporter;

use crate::support::{Keeper, Told, batches, empty, export, unavailable};

fn fails() -> impl throughline_export::SpanExporter + 'static {
    Told(|_: &_| Err(unavailable()))
}

#[test]
fn a_directory_is_made_and_is_only_for_its_user() {
    let root = tempfile::tempdir().unwrap();
    let directory = root.path().join("a/b/c");
    let mut exporter = SpoolExporter::wrap(fails(), &directory).open().unwrap();
    export(&mut exporter, &batches(1, 10)[0]).unwrap();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&directory), 0o700);
        for entry in fs::read_dir(&directory).unwrap() {
            assert_eq!(mode(&entry.unwrap().path()), 0o600);
        }
    }
}

#[test]
fn a_second_exporter_on_one_directory_is_refused_until_the_first_is_gone() {
    let directory = tempfile::tempdir().unwrap();
    let first = SpoolExporter::wrap(fails(), directory.path())
        .open()
        .unwrap();
    let error = SpoolExporter::wrap(fails(), directory.path())
        .open()
        .unwrap_err();
    assert!(error.is_in_use());
    let expected = format!(
        "the spool directory {} is in use, by another process or another exporter; give each a \
         directory of its own",
        directory.path().display()
    );
    assert_eq!(error.to_string(), expected);
    drop(first);
    SpoolExporter::wrap(fails(), directory.path())
        .open()
        .unwrap();
}

#[test]
fn a_directory_that_cannot_be_written_to_is_an_error_at_once() {
    let root = tempfile::tempdir().unwrap();
    let file = root.path().join("file");
    fs::write(&file, b"").unwrap();
    let mut unusable = vec![file.clone(), file.join("below")];
    if cfg!(target_os = "linux") {
        // Read-only even for those whom permissions do not stop.
        unusable.push("/proc/self".into());
        unusable.push("/proc/spool".into());
    }
    for path in unusable {
        let error = SpoolExporter::wrap(fails(), &path).open().unwrap_err();
        assert!(error.is_unusable(), "{error}");
        assert!(
            error.to_string().contains(&path.display().to_string()),
            "{error}"
        );
    }
}

#[test]
fn it_starts_whatever_the_files_contain_and_delivers_what_is_sound() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    let batches = batches(20, 1000);
    let mut exporter = SpoolExporter::wrap(fails(), path).open().unwrap();
    for batch in &batches {
        export(&mut exporter, batch).unwrap();
    }
    drop(exporter);

    let own: Vec<_> = fs::read_dir(path)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "spool")
        })
        .collect();
    let mut chance = fastrand::Rng::with_seed(1);
    let mut noise = |length: usize| -> Vec<u8> { (0..length).map(|_| chance.u8(..)).collect() };
    let name = |number: u64| path.join(format!("{number:016x}-{:016x}.spool", number * 7));
    fs::write(name(0), b"").unwrap();
    fs::write(name(900), noise(100_000)).unwrap();
    fs::write(name(901), vec![0; 100_000]).unwrap();
    fs::write(name(902), b"TLSPOOL1").unwrap();
    // One of our own under a foreign name, and one cut in the middle.
    fs::copy(&own[0], name(903)).unwrap();
    let whole = fs::read(&own[0]).unwrap();
    fs::write(&own[0], &whole[..whole.len() - 10]).unwrap();
    // Much longer than it has blocks, and not read as a whole.
    fs::File::create(name(904))
        .unwrap()
        .set_len(10 << 20)
        .unwrap();
    fs::create_dir(name(905)).unwrap();
    #[cfg(unix)]
    std::os::unix::fs::symlink("/dev/zero", name(906)).unwrap();
    fs::write(path.join("README"), b"not ours").unwrap();

    let keeper = Keeper::default();
    let mut exporter = SpoolExporter::wrap(keeper.exporter(), path).open().unwrap();
    empty(&mut exporter);
    let delivered = keeper.requests.lock().unwrap().clone();
    let expected: Vec<Vec<u8>> = batches
        .iter()
        .map(|batch| batch.request().to_vec())
        .collect();
    assert_eq!(delivered, expected[..19]);
    let stats = exporter.handle().stats();
    println!("row 30, any content: {stats:?}");
    assert_eq!(stats.earlier.delivered, 19);
    assert_eq!(stats.earlier.dropped.get("spool_corrupt"), 1);
    assert_eq!((stats.file_bytes, stats.files), (0, 0));
    assert!(stats.corrupt_records >= 5);
    // What was not ours is where it was.
    assert!(path.join("README").exists() && name(905).is_dir());
    // And it goes on.
    export(&mut exporter, &batches[19]).unwrap();
    assert_eq!(keeper.spans.load(Ordering::SeqCst), 20);
}

#[test]
fn the_files_never_exceed_the_bound() {
    let directory = tempfile::tempdir().unwrap();
    let max_bytes = 256 << 10;
    let mut exporter = SpoolExporter::wrap(fails(), directory.path())
        .max_bytes(max_bytes)
        .max_unsynced_bytes(u64::MAX)
        .open()
        .unwrap();
    let spool = exporter.handle();
    let (mut most, batch) = (0, &batches(1, 5000)[0]);
    let count = 500;
    for _ in 0..count {
        export(&mut exporter, batch).unwrap();
        let on_disk = size_of_directory(directory.path());
        assert!(on_disk <= max_bytes, "{on_disk}");
        most = most.max(on_disk);
    }
    let stats = spool.stats();
    println!("row 30, bound: at most {most} of {max_bytes} bytes; {stats:?}");
    assert!(most > max_bytes * 8 / 10);
    assert_eq!(stats.own.accepted, count);
    assert_eq!(
        stats.own.waiting() + stats.own.dropped.get("spool_full"),
        count
    );
}

pub(crate) fn size_of_directory(path: &Path) -> u64 {
    fs::read_dir(path)
        .unwrap()
        // A file may be removed while the directory is read.
        .filter_map(|entry| entry.unwrap().metadata().ok())
        .map(|metadata| metadata.len())
        .sum()
}
