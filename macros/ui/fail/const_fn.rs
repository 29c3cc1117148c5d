use throughline::traced;

#[traced]
const fn double(n: u32) -> u32 {
    n * 2
}

struct Type;

// As part of the block it is passed over, on its own it is a mistake.
#[traced]
impl Type {
    const fn passed_over(&self) -> u32 {
        1
    }

    #[traced]
    const fn asked_for(&self) -> u32 {
        2
    }
}

const FOUR: u32 = double(2);

fn main() {
    assert_eq!(FOUR, 4);
    assert_eq!(Type.passed_over() + Type.asked_for(), 3);
}
