// Who is held for frames of a version to come, and until when.

#include "consumer/write/newer_frames.hpp"

#include "schemas/nats/subject.hpp"
#include "tests/support/catch.hpp"

using namespace homeward;
using namespace homeward::consumer;
using namespace std::chrono_literals;

namespace {

class Frames {
  public:
    explicit Frames(const std::vector<std::string>& refused) : config_(refusing(refused)) {
        stream_.region = "ams";
    }
    /// What becomes of one of this app.
    MessageWork judge(const std::string& app, NewerFrames::Time now) {
        Batch batch(1);
        subject_ = frame_subject(EventClass::audit, "ams", app);
        batch[0].pulled.message.subject = subject_;
        batch[0].pulled.stream = &stream_;
        batch[0].kind = MessageWork::Kind::newer_frame;
        batch[0].state = MessageWork::State::returned;
        frames_.judge(batch, now);
        return std::move(batch[0]);
    }
    void judge_nothing(NewerFrames::Time now) {
        Batch none;
        frames_.judge(none, now);
    }
    std::vector<std::string> held() const {
        std::vector<std::string> names;
        for (const Metrics::Hold& hold : metrics_.holds()) names.push_back(hold.name);
        return names;
    }

  private:
    static Config::DeadLetters refusing(const std::vector<std::string>& sources) {
        Config::DeadLetters config;
        config.newer_frames_of = sources;
        return config;
    }

    Stream stream_;
    std::string subject_;
    Config::DeadLetters config_;
    Metrics metrics_;
    NewerFrames frames_{config_, metrics_};
};

using Names = std::vector<std::string>;

}  // namespace

TEST_CASE("a source is held from its first newer frame until none has come for some time") {
    Frames frames({});
    const NewerFrames::Time now{1h};
    CHECK(frames.judge("shop", now).is_returned());
    CHECK(frames.held() == Names{"ams/shop"});
    CHECK(frames.judge("shop", now + 10min).is_returned());
    frames.judge_nothing(now + 20min);
    CHECK(frames.held() == Names{"ams/shop"});
    frames.judge_nothing(now + 26min);
    CHECK(frames.held().empty());
}

TEST_CASE("newer frames of a source that the operator names are refused, those of others wait") {
    Frames frames({"ams/rogue"});
    const NewerFrames::Time now{1h};
    const MessageWork refused = frames.judge("rogue", now);
    CHECK(refused.is_plain());
    CHECK(refused.state == MessageWork::State::writing);
    CHECK(refused.seq_count == 1);
    CHECK_FALSE(refused.refusal.empty());
    CHECK(frames.held().empty());
    CHECK(frames.judge("shop", now).is_returned());
    CHECK(frames.held() == Names{"ams/shop"});
}

TEST_CASE("a leaf that invents apps for newer frames does not fill the memory") {
    Frames frames({});
    const NewerFrames::Time now{1h};
    for (int app = 0; app < 300; ++app) {
        CHECK(frames.judge("a" + std::to_string(app), now).is_returned());
    }
    CHECK(frames.held().size() <= 101);
    CHECK(frames.held().front() == "ams/?");
}
