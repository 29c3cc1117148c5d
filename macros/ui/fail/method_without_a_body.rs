use throughline::traced;

trait Handler {
    #[traced]
    fn handle(&self);

    #[traced(err)]
    async fn handle_later(&self) -> Result<(), String>;
}

#[traced]
trait Other {
    fn passed_over(&self);

    #[traced(name = "asked for")]
    fn asked_for(&self);
}

fn main() {}
