#[throughline::test(flavor = "fast", flavour = "current_thread")]
async fn unknown() {}

#[throughline::test(multi_thread)]
async fn bare() {}

#[throughline::test(worker_threads = 2)]
async fn threads_of_one_thread() {}

#[throughline::test(flavor = "multi_thread", worker_threads = 0)]
async fn no_threads() {}

#[throughline::test(flavor = multi_thread, worker_threads = "2", start_paused = true)]
async fn wrong_literals() {}

#[throughline::main(flavor = "current_thread", worker_threads = 2, core_threads = 2)]
async fn main() {}
