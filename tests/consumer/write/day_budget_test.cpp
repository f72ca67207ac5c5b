// How many days without a partition late events may ask for.

#include "consumer/write/day_budget.hpp"

#include "schemas/nats/subject.hpp"
#include "tests/consumer/decode/sample_decoder.hpp"
#include "tests/support/catch.hpp"

using namespace homeward;
using namespace homeward::consumer;
using namespace homeward::testing;
using Catch::Matchers::Contains;

namespace {

constexpr std::int64_t kMinuteUs = 60'000'000;
constexpr int kMax = static_cast<int>(DayBudget::kNewDaysMax);

class Batches {
  public:
    /// How many of these are refused: an event of each day from so many days ago on, of one app.
    std::size_t refused(const std::string& app, int days_ago, int days, std::int64_t now_us) {
        last_.clear();
        Batch batch(1);
        subject_ = plain_subject("ams", app);
        batch[0].pulled.message.subject = subject_;
        batch[0].pulled.stream = &stream_;
        for (int i = 0; i < days; ++i) {
            EventRow event{};
            event.time_us = now_us - (days_ago + i) * kDayUs;
            batch[0].events.push_back(event);
        }
        const auto refusals = budget_.refuse_beyond(batch, now_us);
        if (!refusals.empty()) last_ = refusals.back().error.what();
        return refusals.size();
    }
    const std::string& last_reason() const { return last_; }

  private:
    static std::vector<EventType> types() {
        std::vector<EventType> types = load_event_types(HOMEWARD_SAMPLE_TYPES);
        types[0].partitioning = Partitioning::day;
        return types;
    }

    Config::Postgres config_;
    Catalog catalog_{types()};
    Partitions partitions_{config_};
    DayBudget budget_{catalog_, partitions_};
    Stream stream_;
    std::string subject_, last_;
};

}  // namespace

TEST_CASE("a batch gets partitions for 32 old days, and none is counted for a recent one") {
    Batches batches;
    CHECK(batches.refused("shop", 2, kMax, kNowUs) == 0);
    Batches others;
    CHECK(others.refused("shop", 2, kMax + 8, kNowUs) == 8);
    CHECK_THAT(others.last_reason(), Contains("asked for 32 new ones within a minute"));
    // Its minute is spent, but today and yesterday cost nothing.
    CHECK(others.refused("shop", 0, 2, kNowUs) == 0);
}

TEST_CASE("a source gets 32 old days a minute, in however many batches, and others get theirs") {
    Batches batches;
    const std::int64_t minute = kNowUs - kNowUs % kMinuteUs;
    CHECK(batches.refused("importer", 100, kMax - 2, minute) == 0);
    CHECK(batches.refused("importer", 200, 10, minute + kMinuteUs - 1) == 8);
    CHECK(batches.refused("importer", 300, 1, minute + kMinuteUs - 1) == 1);
    CHECK(batches.refused("shop", 400, kMax, minute + kMinuteUs - 1) == 0);
    CHECK(batches.refused("importer", 500, kMax, minute + kMinuteUs) == 0);
}
