// The room for dead letters and quarantined frames: nobody takes it twice, and no answer of the
// leader takes back what was added while it was asked.

#include "consumer/write/dead_letter_quota.hpp"

#include "tests/support/catch.hpp"

using homeward::consumer::DeadLetterQuota;
using homeward::consumer::QuotaClaim;

TEST_CASE("what a batch has claimed is taken for all others until it is released") {
    DeadLetterQuota quota(3, 1'000);
    QuotaClaim one(quota);
    QuotaClaim other(quota);
    CHECK(one.add_frame(10));
    CHECK(one.add_frame(10));
    CHECK(other.add_frame(10));
    CHECK_FALSE(other.add_frame(10));
    CHECK_FALSE(one.add_frame(10));
    one.release();
    CHECK(other.set_letters({2, 20, 2}));
    CHECK_FALSE(one.add_frame(10));
    CHECK_FALSE(other.set_letters({3, 30, 3}));
    // What it had claimed before went with it.
    CHECK(one.set_letters({2, 20, 0}));
    CHECK_FALSE(other.add_frame(971));
}

TEST_CASE("a claim that ends leaves its room to others") {
    DeadLetterQuota quota(1, 1'000);
    { CHECK(QuotaClaim(quota).add_frame(10)); }
    CHECK(QuotaClaim(quota).add_frame(1'000));
    CHECK_FALSE(QuotaClaim(quota).add_frame(1'001));
}

TEST_CASE("what is added while the leader is asked is not forgotten with its answer") {
    DeadLetterQuota quota(3, 1'000);
    quota.add("ams/shop", {1, 10, 1});
    quota.begin_measurement();
    quota.add("ams/shop", {1, 10, 1});
    quota.measured({1, 10, 1}, {{"ams/shop", {1, 10, 1}}});
    CHECK(quota.of("ams/shop").letters == 2);
    QuotaClaim claim(quota);
    CHECK(claim.add_frame(10));
    CHECK_FALSE(claim.add_frame(10));

    quota.begin_measurement();
    quota.measured({2, 20, 2}, {{"ams/shop", {2, 20, 2}}});
    CHECK(quota.of("ams/shop").letters == 2);
    CHECK_FALSE(claim.add_frame(10));
}
