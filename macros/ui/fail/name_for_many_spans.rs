use throughline::traced;

struct Type;

#[traced(name = "everything")]
impl Type {
    const NAME: &'static str = "type";

    fn one(&self) {}

    #[traced(name = Self::NAME, target = Self::NAME)]
    fn other(&self) {}
}

#[traced(name = "module")]
mod module {
    pub fn one() {}
}

fn main() {
    Type.one();
    Type.other();
    module::one();
}
