#include <homeward/publisher.hpp>
#include <homeward/replay/decide.hpp>

#include <parcel.event.hpp>

int main() {
    homeward::Publisher publisher({.region = "ams", .app = "app"});
    const homeward::events::Parcel parcel{.code = "p1", .weight_g = 250};
    const bool accepted = publisher.emit(parcel) == homeward::EmitResult::accepted;
    publisher.close(std::chrono::milliseconds(0));
    return accepted && homeward::replay::replay_to("scl") == "region=scl" ? 0 : 1;
}
