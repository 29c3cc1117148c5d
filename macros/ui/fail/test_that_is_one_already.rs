#[throughline::test]
#[test]
async fn twice() {}

#[throughline::test]
async fn two_arguments(one: u32, two: u32) {}

#[throughline::test]
struct NotAFunction;

fn main() {
    let _ = NotAFunction;
}
