#include <homeward/publisher.hpp>
#include <homeward/replay/decide.hpp>
#include <homeward/replay/token.hpp>

#include <audit.event.hpp>
#include <parcel.event.hpp>

int main() {
    homeward::Publisher publisher({.region = "ams", .app = "app"});
    const homeward::events::Parcel parcel{.code = "p1", .weight_g = 250};
    homeward::events::Audit audit;
    audit.actor = "user:42";
    audit.action = "parcel.send";
    audit.resource = "parcel:p1";
    audit.outcome = homeward::events::Audit::Outcome::allowed;
    const bool accepted = publisher.emit(parcel) == homeward::EmitResult::accepted &&
                          publisher.emit(audit) == homeward::EmitResult::accepted;
    publisher.close(std::chrono::milliseconds(0));
    const homeward::replay::TokenSigner tokens({{"k1", std::string(32, 'k')}});
    const bool is_read = tokens.read(tokens.sign({7, 1, 42}, 0), 0).seen.lsn == 42;
    const bool is_replayed = homeward::replay::replay_to("scl") == "region=scl";
    return accepted && is_read && is_replayed ? 0 : 1;
}
