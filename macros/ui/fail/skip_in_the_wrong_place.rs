use throughline::{skip, traced};

#[skip]
fn outside() {}

#[traced]
#[skip]
fn both() {}

struct Type;

#[traced]
impl Type {
    #[skip]
    const LIMIT: u32 = 1;

    #[skip]
    #[traced]
    fn contradiction(&self) {}

    #[skip]
    #[skip]
    fn twice(&self) {}

    #[skip(all)]
    fn with_arguments(&self) {}
}

#[throughline::skip]
impl Type {
    fn method(&self) {}
}

fn main() {
    outside();
    both();
    assert_eq!(Type::LIMIT, 1);
    Type.contradiction();
    Type.twice();
    Type.with_arguments();
    Type.method();
}
