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

    let mut own: Vec<_> = fs::read_dir(path)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "spool")
        })
        .collect();
    // An attempt to deliver may have ended one segment, and begun another.
    own.sort();
    let last = own.last().unwrap();
    let mut chance = fastrand::Rng::with_seed(1);
    let mut noise = |length: usize| -> Vec<u8> { (0..length).map(|_| chance.u8(..)).collect() };
    let name = |number: u64| path.join(format!("{number:016x}-{:016x}.spool", number * 7));
    fs::write(name(0), b"").unwrap();
    fs::write(name(900), noise(100_000)).unwrap();
    fs::write(name(901), vec![0; 100_000]).unwrap();
    fs::write(name(902), b"TLSPOOL1").unwrap();
    // One of our own under a foreign name, and one cut in the middle.
    fs::copy(last, name(903)).unwrap();
    let whole = fs::read(last).unwrap();
    fs::write(last, &whole[..whole.len() - 10]).unwrap();
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

/// Set for a child that has a small file system to itself.
#[cfg(target_os = "linux")]
const SMALL_DISK: &str = "THROUGHLINE_TEST_SMALL_DISK";

/// Runs the child below on a file system of 256 KiB, or read-only, where users may
/// make name spaces; elsewhere the disk in memory has to do.
#[cfg(target_os = "linux")]
#[test]
fn a_disk_that_is_full_or_read_only_in_earnest() {
    let directory = tempfile::tempdir().unwrap();
    let run = |script: &str| {
        std::process::Command::new("unshare")
            .args(["-rm", "sh", "-c", script])
            .arg(std::env::current_exe().unwrap())
            .args(["--exact", "directory::child_on_a_small_disk", "--nocapture"])
            .env(SMALL_DISK, directory.path())
            .output()
    };
    let mount = format!("mount -t tmpfs -o size=256k tmpfs ${SMALL_DISK}");
    if !run(&mount).is_ok_and(|output| output.status.success()) {
        println!("row 30, full disk: not run, since nothing can be mounted here");
        return;
    }
    let read_only = format!("{mount} && mount -o remount,ro ${SMALL_DISK}");
    for (mount, expected) in [(mount, "full disk: "), (read_only, "read-only disk: ")] {
        let output = run(&format!("{mount} && exec \"$0\" \"$@\"")).unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let wrong = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{said}{wrong}");
        let line = said.lines().find(|line| line.contains(expected));
        println!("row 30, {}", line.expect("the child says what it saw"));
    }
}

#[cfg(target_os = "linux")]
#[test]
fn child_on_a_small_disk() {
    use std::sync::Arc;
    use std::sync::atomic::AtomicBool;

    let Some(directory) = std::env::var_os(SMALL_DISK) else {
        return;
    };
    let works = Arc::new(AtomicBool::new(false));
    let arrived = Arc::new(std::sync::atomic::AtomicU64::new(0));
    let (is_up, count) = (Arc::clone(&works), Arc::clone(&arrived));
    let destination = Told(move |batch: &throughline_export::Batch| {
        if !is_up.load(Ordering::SeqCst) {
            return Err(unavailable());
        }
        count.fetch_add(batch.spans(), Ordering::SeqCst);
        Ok(throughline_export::Receipt::complete())
    });
    let mut exporter = match SpoolExporter::wrap(destination, directory).open() {
        Ok(exporter) => exporter,
        Err(error) => {
            assert!(error.is_unusable(), "{error}");
            println!("\nread-only disk: {error}");
            return;
        }
    };
    let batches = batches(60, 10_000);
    let results = batches.iter().map(|batch| export(&mut exporter, batch));
    let kept = results.filter(Result::is_ok).count() as u64;
    let stats = exporter.handle().stats();
    assert!(kept > 10 && kept < 60, "{kept}");
    assert_eq!(stats.own.waiting(), kept);
    assert_eq!(stats.failures.get("write"), 60 - kept);
    works.store(true, Ordering::SeqCst);
    empty(&mut exporter);
    assert_eq!(arrived.load(Ordering::SeqCst), kept);
    export(&mut exporter, &batches[0]).unwrap();
    assert_eq!(arrived.load(Ordering::SeqCst), kept + 1);
    println!(
        "\nfull disk: 60 batches, {kept} kept and delivered, {} given back",
        60 - kept
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
