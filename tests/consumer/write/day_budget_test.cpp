// How many days without a partition late events may ask for.

#include "consumer/write/day_budget.hpp"

#include <deque>

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
    /// An event of each day from so many days ago on, of one app; it goes into the next batch.
    void add(const std::string& app, int days_ago, int days, std::int64_t now_us) {
        MessageWork& work = batch_.emplace_back();
        work.pulled.message.subject = subjects_.emplace_back(plain_subject("ams", app));
        work.pulled.stream = &stream_;
        for (int i = 0; i < days; ++i) {
            EventRow event{};
            event.time_us = now_us - (days_ago + i) * kDayUs;
            work.events.push_back(event);
        }
    }
    /// How many events of the batch are refused.
    std::size_t limit(std::int64_t now_us) {
        const auto [refused, is_any_returned] = budget_.limit(batch_, now_us);
        last_ = refused.empty() ? "" : refused.back().error.what();
        returns_any_ = is_any_returned;
        return refused.size();
    }
    /// Whether that returned any message.
    bool returns_any() const { return returns_any_; }
    bool is_returned(std::size_t message) const { return batch_[message].is_returned(); }
    std::size_t refused(const std::string& app, int days_ago, int days, std::int64_t now_us) {
        batch_.clear();
        add(app, days_ago, days, now_us);
        return limit(now_us);
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
    Batch batch_;
    std::deque<std::string> subjects_;
    std::string last_;
    bool returns_any_ = false;
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

TEST_CASE(
    "a batch whose days one source has spent returns another's message, and refuses nothing") {
    Batches batches;
    batches.add("importer", 100, kMax + 8, kNowUs);
    batches.add("shop", 200, 1, kNowUs);
    batches.add("till", 100, kMax, kNowUs);  // the days that the importer gets
    CHECK(batches.limit(kNowUs) == 8);
    CHECK(batches.returns_any());
    CHECK_FALSE(batches.is_returned(0));
    CHECK(batches.is_returned(1));
    CHECK_FALSE(batches.is_returned(2));
    // The batch is written anew, before any partition was made; the message comes again later.
    CHECK(batches.limit(kNowUs) == 8);
    CHECK_FALSE(batches.returns_any());
    CHECK(batches.refused("shop", 200, 1, kNowUs) == 0);
    CHECK_FALSE(batches.is_returned(0));
}
