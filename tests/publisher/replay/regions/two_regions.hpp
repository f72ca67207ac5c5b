#pragma once

#include <httplib.h>

#include <array>
#include <map>
#include <memory>
#include <string>

#include "tests/support/process.hpp"
#include "tests/support/servers/postgres_server.hpp"
#include "tests/support/temp_dir.hpp"

namespace homeward::testing {

/// A leader in scl and its streaming replica in ams, with the examples' table. One thread.
class Databases {
  public:
    Databases();
    /// Until the replica has all that the leader has.
    void catch_up() const;

    PostgresServer leader;
    std::unique_ptr<PostgresServer> replica;
};

/// How one region's app is started; the defaults are those of a replica region.
struct AppOptions {
    std::string program;
    std::string region;
    std::string primary_region = "scl";
    std::string database_url;
    std::string replica_url;
    /// An empty REPLAY_ACCEL_PREFIX: the app answers as the platform's proxy documents it.
    std::map<std::string, std::string> environment;
};

/// Two apps, and nginx with deploy/nginx's configuration in the place of the platform's proxy.
class TwoRegions {
  public:
    TwoRegions(const AppOptions& ams, const AppOptions& scl);
    ~TwoRegions() { nginx_.stop(); }  // SIGKILL would leave its worker behind
    TwoRegions(const TwoRegions&) = delete;
    TwoRegions& operator=(const TwoRegions&) = delete;

    /// Through the edge of a region, as a client comes.
    httplib::Client edge(const std::string& region) const;
    /// To the app of a region itself.
    httplib::Client app(const std::string& region) const;
    std::string edge_url(const std::string& region) const;
    /// Bytes to a region's app, as they are, and all that it says until it closes or falls silent.
    std::string talk(const std::string& region, const std::string& bytes) const;
    std::string app_url(const std::string& region) const;
    int port(const std::string& region) const { return of(region).port; }
    Process& process(const std::string& region) { return of(region).process; }
    void restart(const std::string& region, const AppOptions& options);
    /// A series of its /metrics; -1 when it is not there.
    double metric(const std::string& region, const std::string& series) const;
    std::string log(const std::string& region) const { return read_file(dir_ / region); }

  private:
    struct Region {
        int port = free_port();
        int edge_port = free_port();
        Process process;
    };
    Region& of(const std::string& region) { return regions_[region == "ams" ? 0 : 1]; }
    const Region& of(const std::string& region) const { return regions_[region == "ams" ? 0 : 1]; }
    void start_nginx();

    TempDir dir_;
    std::array<Region, 2> regions_;
    Process nginx_;
};

}  // namespace homeward::testing
