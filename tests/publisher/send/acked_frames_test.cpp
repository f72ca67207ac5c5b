// For how long acknowledged frames are kept, with the time as an argument.

#include "publisher/send/acked_frames.hpp"
#include "tests/support/catch.hpp"

using namespace homeward;
using namespace std::chrono_literals;

namespace {

const AckedFrames::SteadyClock::time_point kBegin{1h};

RunIdentity identity() {
    RunIdentity identity;
    identity.publisher = PublisherId::random();
    identity.region = "ams";
    identity.app = "shop";
    return identity;
}

/// Keeps frames of both classes. They are heartbeats, which no log holds, so that they may have any
/// size.
class Keeper {
  public:
    explicit Keeper(const AckedFrames::Limits& limits) : frames_(limits) {}

    void keep(EventClass event_class, std::size_t bytes, std::chrono::milliseconds acked) {
        AckedFrames::Frame frame;
        frame.origin = event_class == EventClass::audit ? &audit_ : &metric_;
        frame.outgoing.heartbeat.resize(bytes);
        frame.stream_seq = ++seq_;
        frame.acked = kBegin + acked;
        frames_.keep(std::move(frame));
    }
    /// The sequences of those that are kept then.
    std::vector<std::uint64_t> kept_at(std::chrono::milliseconds now) {
        frames_.release_old(kBegin + now);
        std::vector<std::uint64_t> seqs;
        for (AckedFrames::Frame& frame : frames_.take_all()) {
            seqs.push_back(frame.stream_seq);
            frames_.keep(std::move(frame));
        }
        return seqs;
    }

  private:
    static Origin::Limits limits() { return {64u << 10, 16u << 20, 10ms, false}; }

    const std::unique_ptr<Run> run_ = Run::create("", identity());
    Origin audit_{*run_, EventClass::audit, limits()};
    Origin metric_{*run_, EventClass::metric, limits()};
    AckedFrames frames_;
    std::uint64_t seq_ = 0;
};

using Seqs = std::vector<std::uint64_t>;

}  // namespace

TEST_CASE("an acknowledged frame is kept for resend_age_max, and no longer") {
    Keeper keeper({10s, 1u << 20});
    keeper.keep(EventClass::audit, 100, 0s);
    keeper.keep(EventClass::audit, 100, 5s);
    CHECK(keeper.kept_at(9'999ms) == Seqs{1, 2});
    CHECK(keeper.kept_at(10s) == Seqs{2});
    CHECK(keeper.kept_at(14'999ms) == Seqs{2});
    CHECK(keeper.kept_at(15s).empty());
}

TEST_CASE("with a resend_age_max of 0 no acknowledged frame is kept") {
    Keeper keeper({0s, 1u << 20});
    keeper.keep(EventClass::audit, 100, 0s);
    CHECK(keeper.kept_at(0s).empty());
}

TEST_CASE("of the acknowledged frames of a class the newest resend_bytes_max are kept") {
    Keeper keeper({10s, 1'000});
    keeper.keep(EventClass::metric, 1'000, 0s);
    keeper.keep(EventClass::audit, 400, 0s);
    keeper.keep(EventClass::audit, 600, 0s);
    CHECK(keeper.kept_at(0s) == Seqs{2, 3, 1});
    keeper.keep(EventClass::audit, 1, 0s);
    CHECK(keeper.kept_at(0s) == Seqs{3, 4, 1});
    keeper.keep(EventClass::audit, 1'001, 0s);
    CHECK(keeper.kept_at(0s) == Seqs{1});
}

TEST_CASE("however small they are, no more than 16,384 acknowledged frames of a class are kept") {
    Keeper keeper({10s, 1u << 20});
    for (int i = 0; i < 16'384 + 10; ++i) keeper.keep(EventClass::audit, 1, 0s);
    const auto kept = keeper.kept_at(0s);
    CHECK(kept.size() == 16'384);
    CHECK(kept.front() == 11);
}
