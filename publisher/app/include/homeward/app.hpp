#pragma once

/// @file
/// One object that wires an app: publisher, database and replay helper, made from the environment.
///
/// @code
/// homeward::App app("shop");
/// app.publisher().emit(event);
/// const auto replay = homeward::replay::install(server, app);
/// @endcode
///
/// Variables that are read:
///
///     HOMEWARD_REGION, else FLY_REGION   the region of this process's events
///     HOMEWARD_NATS_URL                  NATS server of this region; several with commas between
///     HOMEWARD_NATS_NKEY_FILE, HOMEWARD_NATS_CREDENTIALS_FILE, HOMEWARD_NATS_INBOX_PREFIX,
///     HOMEWARD_NATS_TLS_CA_FILE, HOMEWARD_NATS_TLS_CERT_FILE, HOMEWARD_NATS_TLS_KEY_FILE
///     HOMEWARD_SPOOL_DIR                 unset: accepted events die with the process
///     HOMEWARD_LANE_DIR                  in a container: a directory inside the spool
///     PRIMARY_REGION, FLY_REGION, DATABASE_URL, DATABASE_REPLICA_URL, DATABASE_REPLICA_PORT,
///     DATABASE_REPLICA_RULE, HOMEWARD_REPLAY_KEYS, REPLAY_ACCEL_PREFIX: replay/helper.hpp
///
/// The generator of NATS configurations writes those of NATS into an env file for each app.

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include <homeward/metrics.hpp>
#include <homeward/publisher.hpp>
#include <homeward/replay/helper.hpp>
#include <homeward/request_scope.hpp>

namespace homeward {

/// Reads a publisher's settings from the environment. Not while another thread changes it.
/// @param app PublisherOptions::app
/// @return settings to change or to pass on
/// @throws SetupError if a variable is missing or wrong; what() names it and says what to set. It
///     repeats no URL
PublisherOptions publisher_options_from_environment(std::string_view app);

class App;

/// The parts of an App. Each one that is not set comes from the environment, or has its default.
struct AppOptions {
    /// Default: publisher_options_from_environment(). Its `app` is the App's name, and its on_log,
    /// if empty, is `on_log`.
    std::optional<PublisherOptions> publisher{};
    /// Parts of the replay helper. Its `position_source` is libpq's unless it is set. The app's
    /// `request_handler.on_begin` and `request_handler.on_decision` are called in addition to App's
    /// own functions.
    replay::HelperOptions replay{};
    /// Called for each replay and refusal, after its line was logged; may emit. Called from many
    /// threads.
    std::function<void(App& app, const replay::Decision& decision)> on_replay{};
    /// The buffer of each request's events.
    RequestScopeOptions scope{};
    /// Settings of App::meter().
    MeterOptions meter{};
    /// Receives log lines of the publisher, and one for each replay and refusal. Called from many
    /// threads; it must not throw. Empty: lines go to standard error.
    std::function<void(std::string_view line)> on_log{};
};

/// A publisher and a replay helper that belong together: each request has a request scope, so the
/// events of a request that is replayed are dropped here and emitted in the primary region.
///
/// Any thread; it must outlive the server. A forking server makes one in each child. With the
/// parent's App, a child emits as a publisher of its own, but has no poller: in a replica region it
/// sends the reads of all sessions to the primary.
class App {
  public:
    /// Reads the environment for parts that are not set, opens the publisher, and starts the
    /// poller in a replica region. Not while another thread changes the environment.
    /// @param name of the app: [a-z0-9][a-z0-9_-]{0,31}. It is part of each event's subject
    /// @param options parts to replace
    /// @throws SetupError if a variable is missing or wrong, or a directory cannot be used; what()
    ///     names it and says what to set. It repeats no URL and no key
    explicit App(std::string_view name, AppOptions options = {});
    /// Closes the publisher as Publisher::~Publisher() does. Call close() before to wait longer.
    ~App();
    App(const App&) = delete;
    App& operator=(const App&) = delete;

    /// The publisher.
    /// @return lives as long as this object
    Publisher& publisher() { return *publisher_; }
    /// Counters, gauges and histograms that are added up in this process.
    /// @return lives as long as this object
    Meter& meter() { return *meter_; }
    /// Measures a request once: runs `action` when it is known that this thread's request is
    /// answered here, and never if it is replayed, since the primary region then handles it. At
    /// once outside of the adapter's handlers.
    /// @param action adds to instruments; it must not throw. Runs on this thread
    void when_answered(std::function<void()> action);
    /// The connection string of this region's database, and whether it is a replica's.
    /// @return it never changes, and has no error
    const replay::RegionalUrl& database_url() const { return replay_->database(); }
    /// What an adapter needs: rules, session tokens, poller, counters.
    /// @return lives as long as this object
    const replay::Helper& replay() const { return *replay_; }
    /// As replay(), so that adapters take an App.
    operator const replay::Helper&() const { return *replay_; }

    /// The counts of publisher and replay helper as Prometheus text, for the app's /metrics.
    /// @return the text, each line ended
    std::string prometheus() const;
    /// Publisher::close(), which reports what the meter has. One thread, once, when the server has
    /// stopped.
    /// @param deadline milliseconds from now
    /// @return whether everything was acknowledged, and how many events were not
    FlushResult close(std::chrono::milliseconds deadline) { return publisher_->close(deadline); }

  private:
    replay::HelperOptions replay_options(AppOptions options);

    std::function<void(std::string_view)> on_log_;
    std::unique_ptr<Publisher> publisher_;
    std::optional<Meter> meter_;
    std::optional<replay::Helper> replay_;
};

}  // namespace homeward
