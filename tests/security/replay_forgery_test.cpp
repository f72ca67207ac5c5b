// Method: what a client can send to move the replay helper, sent live: tokens (forged, of another
// key, of another system, cut, repeated), the platform's own headers and nginx's, requests that two
// parsers may read in two ways, and answers that a shared cache in between may keep. Through nginx,
// and to the app itself, as Fly's proxy hands requests on: there the test does what that proxy does
// with `fly-replay`. Real leader, replica, apps and nginx.

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <cstdlib>
#include <ctime>
#include <fstream>

#include <homeward/replay/cookie.hpp>
#include <homeward/replay/token.hpp>

#include "tests/publisher/replay/regions/two_regions.hpp"
#include "tests/support/catch.hpp"

using namespace homeward;
using namespace homeward::testing;
using namespace std::chrono_literals;

namespace {

constexpr const char* kText = "text/plain";
/// HOMEWARD_REPLAY_KEYS of the apps, as TwoRegions sets it.
const std::string kSecret(32, '\xaa');

std::string token(const replay::Position& seen, const std::string& id, const std::string& secret) {
    return replay::TokenSigner({{id, secret}})
        .sign(seen, static_cast<std::uint64_t>(std::time(nullptr)));
}

/// Who hands the client's requests on to the apps.
enum class Front : unsigned char { nginx, fly };

/// Both regions, with a replica that stands still behind one order. One thread.
struct Stage {
    explicit Stage(Front who) : front(who) {
        data.replica->query("SELECT pg_wal_replay_pause()");
        const auto write = regions.app("scl").Post("/orders", "newest", kText);
        if (!write || write->status != 201) throw std::runtime_error("the order was not placed");
        order = "/orders/" + write->body;
        genuine = write->get_header_value("homeward-seen");
        const auto row = data.leader.query("SELECT system_identifier FROM pg_control_system()");
        system_id = std::stoull(row.at(0).at(0));
    }

    /// 200: replayed in the primary region; 404: served by the replica, which has it not.
    int read_with(const std::string& text) const {
        const int by_header = read_with(httplib::Headers{{"homeward-seen", text}});
        const int by_cookie =
            read_with(httplib::Headers{{"Cookie", replay::CookieOptions().name + "=" + text}});
        CHECK(by_header == by_cookie);
        return by_header;
    }
    int read_with(httplib::Headers headers) const {
        const bool is_fly = front == Front::fly;
        auto client = is_fly ? regions.app("ams") : regions.edge("ams");
        auto answer = client.Get(order, headers);
        if (is_fly && answer && answer->status == 409) {
            check_fly_replay(*answer);
            headers.emplace("fly-replay-src", "instance=1;region=ams;t=1");
            answer = regions.app("scl").Get(order, headers);
        }
        return answer ? answer->status : -1;
    }
    /// The documented form, and of it what the app means: nothing that a client has said.
    static void check_fly_replay(const httplib::Response& answer) {
        CHECK(answer.get_header_value_count("fly-replay") == 1);
        CHECK(answer.get_header_value("fly-replay") == "region=scl");
        CHECK(answer.get_header_value("Cache-Control") == "no-store");
        CHECK_FALSE(answer.has_header("X-Accel-Redirect"));
        CHECK_FALSE(answer.has_header("Set-Cookie"));
        CHECK(answer.body.empty());
    }

    AppOptions app(const char* program, const std::string& region) const {
        const std::string replica_url = region == "ams" ? data.replica->url() : "";
        AppOptions options{program, region, "scl", data.leader.url(), replica_url, {}};
        if (front == Front::fly) options.environment["REPLAY_ACCEL_PREFIX"] = "";
        return options;
    }

    Front front;
    Databases data;
    // Each of the examples in each of the regions.
    TwoRegions regions{
        app(front == Front::fly ? HOMEWARD_EXAMPLE_BEAST : HOMEWARD_EXAMPLE_HTTPLIB, "ams"),
        app(front == Front::fly ? HOMEWARD_EXAMPLE_HTTPLIB : HOMEWARD_EXAMPLE_BEAST, "scl")};
    std::string order;
    std::string genuine;
    std::uint64_t system_id = 0;
};

int port_of(const std::string& url) {
    return std::stoi(url.substr(url.rfind(':') + 1));
}

/// Bytes as they are, and all that comes until the other side closes or falls silent.
std::string exchange(int port, const std::string& bytes) {
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<std::uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const timeval patience{1, 0};
    ::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    std::string said;
    if (::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0 &&
        ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL) > 0) {
        char buffer[4096];
        for (ssize_t n; (n = ::recv(fd, buffer, sizeof buffer, 0)) > 0;) {
            said.append(buffer, static_cast<std::size_t>(n));
        }
    }
    ::close(fd);
    return said;
}

void check_tokens(const Stage& stage) {
    CHECK(stage.read_with(stage.genuine) == 200);
    CHECK(stage.read_with("") == 404);
    const replay::Position seen{stage.system_id, 1, 0x7fffffffffff};
    CHECK(stage.read_with(token(seen, "test", kSecret)) == 200);  // the key is what counts

    CHECK(stage.read_with(token(seen, "test", std::string(32, 'b'))) == 404);  // another key
    CHECK(stage.read_with(token(seen, "other", kSecret)) == 404);  // an id that nobody knows
    // Genuine, of another system (a database that was replaced): the primary answers.
    CHECK(stage.read_with(token({stage.system_id + 1, 1, 1}, "test", kSecret)) == 200);

    // Each field changed, and the text cut anywhere.
    for (std::size_t i = 0; i < stage.genuine.size(); i += 7) {
        std::string changed = stage.genuine;
        changed[i] = changed[i] == '1' ? '2' : '1';
        INFO(changed);
        CHECK(stage.read_with(changed) == 404);
        CHECK(stage.read_with(stage.genuine.substr(0, i)) == 404);
    }
    CHECK(stage.read_with(stage.genuine + stage.genuine) == 404);
    CHECK(stage.read_with(stage.genuine + ".") == 404);
    CHECK(stage.read_with(std::string(4000, 'v')) == 404);

    // A forged cookie set by a sibling domain does not hide the genuine one beside it.
    const std::string name = replay::CookieOptions().name;
    CHECK(stage.read_with(httplib::Headers{
              {"Cookie", name + "=forged; " + name + "=" + stage.genuine}}) == 200);
}

/// What a client may say of the platform.
const std::vector<httplib::Headers>& forged_headers() {
    static const std::vector<httplib::Headers> all = {
        {{"fly-replay-src", "instance=1;region=scl;t=1;state=x"}},
        {{"Fly-Replay-Src", "region=ams"}, {"fly-replay-src", "region=scl"}},
        {{"fly_replay_src", "region=scl"}},
        {{"fly-replay-failed", "region=scl"}},
        {{"fly-replay", "region=ams"}, {"X-Accel-Redirect", "@homeward_failed"}},
        {{"Connection", "close, fly-replay-src, cookie"}},
        {{"fly-replay-src", std::string(3000, 'a')}},
    };
    return all;
}

/// Nothing of it is believed behind nginx.
void check_platform_headers_at_edge(const Stage& stage) {
    int n = 0;
    for (const httplib::Headers& headers : forged_headers()) {
        INFO(headers.begin()->first);
        const auto write = stage.regions.edge("ams").Post("/orders", headers,
                                                          "platform " + std::to_string(++n), kText);
        REQUIRE(write);
        CHECK(write->status == 201);
        CHECK_FALSE(write->has_header("fly-replay"));
        CHECK_FALSE(write->has_header("x-accel-redirect"));
    }
    // A named location of nginx is nobody's URL.
    for (const char* path : {"/@homeward_replay_scl", "/%40homeward_failed", "/passthrough/"}) {
        const auto answer = stage.regions.edge("ams").Get(path);
        REQUIRE(answer);
        CHECK(answer->status == 404);
    }
}

/// Without a proxy that strips it, it only makes the app refuse.
void check_platform_headers_at_app(const Stage& stage) {
    for (const httplib::Headers& headers : forged_headers()) {
        INFO(headers.begin()->first);
        const auto write = stage.regions.app("ams").Post("/orders", headers, "direct", kText);
        REQUIRE(write);
        const bool is_believed = write->status == 503;
        CHECK((is_believed || write->status == 409));
        CHECK(write->has_header("fly-replay") == !is_believed);
        if (!is_believed && stage.front == Front::fly) Stage::check_fly_replay(*write);
    }
    CHECK(stage.data.leader.number("SELECT count(*) FROM orders WHERE item = 'direct'") == 0);
}

/// A request with another behind it, of 5 bytes of body and the other, as `head` may be read.
std::string with_hidden(const std::string& head) {
    return "POST /orders HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\n" + head +
           "\r\n0\r\n\r\n" +
           "POST /orders HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\n"
           "Content-Length: 8\r\n\r\nsmuggled";
}

/// How often the hidden request is carried out, through the edge of a region.
std::int64_t times_carried_out(const Stage& stage, const char* region, const std::string& head) {
    const std::string answer = exchange(port_of(stage.regions.edge_url(region)), with_hidden(head));
    INFO(region << "\n" << head << answer);
    CHECK(answer.find("HTTP/1.1 ") == 0);
    const auto done =
        stage.data.leader.number("SELECT count(*) FROM orders WHERE item = 'smuggled'");
    stage.data.leader.query("DELETE FROM orders WHERE item IN ('smuggled', '0\r\n\r\n', '')");
    return done;
}

/// Two parsers may read these heads in two ways, so that what one takes for a body is a request for
/// the other: no such request is ever carried out. A head that has one meaning may have another
/// request behind it: HTTP allows that (pipelining), and here it shows that one would be seen.
void check_smuggling(const Stage& stage) {
    const std::string length = std::to_string(with_hidden("").size());
    const std::vector<std::string> heads = {
        "Content-Length: " + length + "\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: " + length + "\r\n",
        "Transfer-Encoding: xchunked\r\nContent-Length: 5\r\n",
        "Transfer-Encoding : chunked\r\n",
        "Transfer-Encoding:\x0b"
        "chunked\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
        "Content-Length: 5\r\nContent-Length: " + length + "\r\n",
        "Content-Length: +5\r\n",
        "Content-Length: 5, " + length + "\r\n",
        "X: y\r\n Content-Length: 5\r\n",
    };
    for (const char* region : {"ams", "scl"}) {
        for (const std::string& head : heads) {
            INFO(region << "\n" << head);
            CHECK(times_carried_out(stage, region, head) == 0);
        }
        for (const char* head : {"Content-Length: 5\r\n", "Transfer-Encoding: chunked\r\n"}) {
            INFO(region << "\n" << head);
            CHECK(times_carried_out(stage, region, head) == 1);
        }
    }
    // What ends a header ends the request for nginx, too.
    const std::string split = exchange(port_of(stage.regions.edge_url("ams")),
                                       "GET /orders/1%0d%0aX-Accel-Redirect:%20@homeward_failed "
                                       "HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    CHECK(split.find("HTTP/1.1 404") == 0);
}

/// A cache that keeps whatever it may, by path and X-Place.
class SharedCache {
  public:
    explicit SharedCache(const std::string& origin) {
        const std::string dir = dir_.path();
        std::ofstream(dir_ / "nginx.conf")
            << "worker_processes 1; daemon off; pid " << dir << "/pid; error_log " << dir
            << "/log;\nevents {}\nhttp { access_log off; proxy_cache_path " << dir
            << "/cache keys_zone=all:1m; client_body_temp_path " << dir << "/body; proxy_temp_path "
            << dir << "/proxy; fastcgi_temp_path " << dir << "/fastcgi; uwsgi_temp_path " << dir
            << "/uwsgi; scgi_temp_path " << dir << "/scgi;\nserver { listen 127.0.0.1:" << port_
            << "; add_header x-cache $upstream_cache_status; location / { proxy_cache all; "
               "proxy_cache_key '$request_uri $http_x_place';"
               " proxy_cache_valid any 10m; proxy_cache_methods GET HEAD POST;"
               " proxy_set_header Connection ''; proxy_http_version 1.1;"
               " proxy_set_header Upgrade $http_upgrade; proxy_pass "
            << origin << "; } } }\n";
        const char* path = std::getenv("PATH");
        ProcessOptions options;
        options.log = dir_ / "log";
        options.environment["PATH"] = std::string(path == nullptr ? "" : path) + ":/usr/sbin";
        nginx_ =
            Process({"nginx", "-p", dir, "-e", dir + "/log", "-c", dir + "/nginx.conf"}, options);
        const bool is_up = wait_until(20s, [&] { return bool(client().Get("/metrics")); });
        if (!is_up)
            throw std::runtime_error("the cache did not start:\n" + read_file(dir + "/log"));
    }
    ~SharedCache() { nginx_.stop(); }
    SharedCache(const SharedCache&) = delete;
    SharedCache& operator=(const SharedCache&) = delete;

    httplib::Client client() const { return httplib::Client("127.0.0.1", port_); }

  private:
    TempDir dir_;
    int port_ = free_port();
    Process nginx_;
};

/// No answer of the helper's own stays in a cache for the next one who asks. A replay behind nginx
/// is for nginx alone, which has no cache in front of the app.
void check_cache(const Stage& stage) {
    const SharedCache cache(stage.regions.app_url("ams"));
    struct Attack {
        httplib::Headers headers;
        int status;
    };
    std::vector<Attack> attacks = {
        {{{"homeward-seen", stage.genuine}, {"fly-replay-src", "region=scl"}}, 503},
        {{{"homeward-seen", stage.genuine}, {"fly-replay-failed", "region=scl"}}, 503},
        {{{"Upgrade", "websocket"}}, 403},
    };
    if (stage.front == Front::fly) attacks.push_back({{{"homeward-seen", stage.genuine}}, 409});
    int n = 0;
    for (auto& [headers, status] : attacks) {
        const std::string place = std::to_string(++n);
        headers.emplace("X-Place", place);
        const auto attack = cache.client().Get("/orders/1", headers);
        REQUIRE(attack);
        INFO(place);
        CHECK(attack->status == status);
        const auto victim = cache.client().Get("/orders/1", {{"X-Place", place}});
        REQUIRE(victim);
        CHECK(victim->status == 200);
        CHECK(victim->body == "first");
    }
    const auto kept = cache.client().Get("/orders/1", {{"X-Place", "1"}});
    REQUIRE(kept);
    CHECK(kept->get_header_value("x-cache") == "HIT");  // or nothing was tried
}

}  // namespace

TEST_CASE("no token, header, hidden request or cache moves the replay helper where it should not") {
    const Stage stage(Front::nginx);
    check_tokens(stage);
    check_platform_headers_at_edge(stage);
    check_platform_headers_at_app(stage);
    check_smuggling(stage);
    check_cache(stage);
}

TEST_CASE("neither does any of them in the documented form of Fly's proxy, at the app itself") {
    const Stage stage(Front::fly);
    check_tokens(stage);
    check_platform_headers_at_app(stage);
    check_cache(stage);
}
