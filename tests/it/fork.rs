//! A forked child starts empty and repeats nothing of its parent.
#![expect(unsafe_code, reason = "fork has no safe form")]

use throughline::span;
use throughline::testing::Capture;

#[test]
fn a_child_starts_empty_with_its_own_identifiers() {
    let capture = Capture::start();
    let _here = capture.attach();
    span!("before").in_scope(|| ());
    let open = span!("open across the fork").enter();
    let mut pipe = [0; 2];
    // SAFETY: `pipe` is an array of two descriptors, as the call requires.
    assert_eq!(unsafe { libc::pipe(pipe.as_mut_ptr()) }, 0);
    // SAFETY: the child only records, writes to the pipe and leaves by `_exit`.
    let child = unsafe { libc::fork() };
    if child == 0 {
        let id = span!("in the child")
            .context()
            .span_context()
            .span_id()
            .to_bytes();
        drop(open);
        let stats = capture.stats();
        // The span of the child, and neither the finished nor the open one of the parent.
        let own = stats.started == 1 && stats.published == 1;
        let bytes: Vec<u8> = id.iter().copied().chain([u8::from(own)]).collect();
        // SAFETY: the buffer is as long as said, and the descriptor is the pipe's.
        unsafe { libc::write(pipe[1], bytes.as_ptr().cast(), bytes.len()) };
        // SAFETY: leaving without destructors is what a forked test must do.
        unsafe { libc::_exit(0) };
    }
    let mut answer = [0_u8; 9];
    // SAFETY: the buffer is as long as said, and the descriptor is the pipe's.
    let read = unsafe { libc::read(pipe[0], answer.as_mut_ptr().cast(), answer.len()) };
    let mut status = 0;
    // SAFETY: the child is ours and the status has a place.
    assert_eq!(unsafe { libc::waitpid(child, &mut status, 0) }, child);
    assert_eq!(
        (read, status, answer[8]),
        (9, 0, 1),
        "the child's counts are its own"
    );
    let in_parent = span!("in the parent")
        .context()
        .span_context()
        .span_id()
        .to_bytes();
    assert_ne!(
        &answer[..8],
        &in_parent,
        "the generators must part at the fork"
    );
    drop(open);
    assert_eq!((capture.stats().live(), capture.spans().len()), (0, 3));
}
