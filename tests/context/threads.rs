//! Threads of the standard library start with the context of where they were spawned.

use throughline::testing::Capture;
use throughline::thread::{self, Builder};
use throughline::{Context, span};

use crate::runtimes::picture;

/// Runs the work in a span `root` and returns the picture.
fn in_root(work: impl FnOnce()) -> String {
    let capture = Capture::start();
    let _here = capture.attach();
    span!("root").in_scope(work);
    picture(&capture)
}

fn leaf(name: &'static str) {
    span!("leaf", name = name).in_scope(|| ());
}

#[test]
fn hop_thread_spawn() {
    insta::assert_snapshot!(in_root(|| thread::spawn(|| leaf("thread")).join().expect("no panic")), @r#"
    root
    └─ leaf {name="thread"}
    "#);
}

#[test]
fn hop_thread_builder() {
    insta::assert_snapshot!(in_root(|| {
        let builder = Builder::new().name("named".to_owned()).stack_size(1 << 20);
        let work = || assert_eq!(std::thread::current().name(), Some("named"));
        let thread = builder.spawn(move || span!("thread").in_scope(work));
        thread.expect("a thread").join().expect("no panic");
        thread::scope(|scope| {
            let scoped = Builder::from(std::thread::Builder::new());
            scoped.spawn_scoped(scope, || leaf("scoped")).expect("a thread");
        });
    }), @r#"
    root
    ├─ leaf {name="scoped"}
    └─ thread
    "#);
}

#[test]
fn hop_thread_scope() {
    insta::assert_snapshot!(in_root(|| {
        let names = ["first", "second"];
        thread::scope(|scope| {
            for name in &names {
                scope.spawn(move || span!("scoped", name = *name).in_scope(|| scope.spawn(|| leaf("nested")).join()));
            }
        });
    }), @r#"
    root
    ├─ scoped {name="first"}
    │  └─ leaf {name="nested"}
    └─ scoped {name="second"}
       └─ leaf {name="nested"}
    "#);
}

#[test]
fn a_thread_that_is_not_joined_does_not_hold_its_parent_open() {
    let capture = Capture::start();
    let _here = capture.attach();
    let (go, gone) = std::sync::mpsc::channel::<()>();
    let thread = span!("parent").in_scope(|| {
        thread::spawn(move || {
            gone.recv().expect("the test tells");
            leaf("late");
        })
    });
    assert_eq!(capture.stats().live(), 0);
    go.send(()).expect("the thread waits");
    thread.join().expect("no panic");
    insta::assert_snapshot!(picture(&capture), @r#"
    parent
    └─ leaf {name="late"}
    "#);
}

#[test]
fn a_thread_spawned_without_a_context_has_none() {
    let context = thread::spawn(Context::current).join().expect("no panic");
    assert_eq!(context, Context::default());
}
