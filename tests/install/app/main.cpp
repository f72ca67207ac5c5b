#include <homeward/app.hpp>

#include <audit.event.hpp>
#include <parcel.event.hpp>

int main() {
    homeward::AppOptions options;
    options.publisher = homeward::PublisherOptions{.region = "ams"};
    options.replay.regions = homeward::replay::Regions{"scl", "ams"};
    options.replay.database = homeward::replay::RegionalUrl{"host=replica", true, {}};
    options.replay.keys = {{"k1", std::string(32, 'k')}};
    homeward::App app("app", options);
    const homeward::events::Parcel parcel{.code = "p1", .weight_g = 250};
    homeward::events::Audit audit;
    audit.actor = "user:42";
    audit.action = "parcel.send";
    audit.resource = "parcel:p1";
    audit.outcome = homeward::events::Audit::Outcome::allowed;
    const bool accepted = app.publisher().emit(parcel) == homeward::EmitResult::accepted &&
                          app.publisher().emit(audit) == homeward::EmitResult::accepted;
    app.close(std::chrono::milliseconds(0));
    const homeward::replay::TokenSigner tokens(*options.replay.keys);
    const bool is_read = tokens.read(tokens.sign({7, 1, 42}, 0), 0).seen.lsn == 42;
    const bool is_replayed = homeward::replay::replay_to("scl") == "region=scl";
    return accepted && is_read && is_replayed && app.database_url().is_replica ? 0 : 1;
}
