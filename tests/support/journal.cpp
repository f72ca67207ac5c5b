#include "tests/support/journal.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <fstream>
#include <sstream>
#include <stdexcept>

namespace homeward::testing {
namespace {

struct Entry {
    std::uint64_t payload_hash;
    Fate fate;
    std::uint8_t unused[7];
};
static_assert(sizeof(Entry) == 16);

struct Known {
    std::uint64_t payload_hash;
    Fate fate;
    std::uint64_t rows = 0;
};

constexpr std::size_t kNamedMax = 10;

void name(std::vector<std::string>& list, const std::string& key) {
    if (list.size() < kNamedMax) list.push_back(key);
}

std::map<std::string, Known> read_journals(const std::filesystem::path& directory) {
    std::map<std::string, Known> known;
    for (const auto& file : std::filesystem::directory_iterator(directory)) {
        const std::string prefix = file.path().filename().string() + ":";
        std::ifstream stream(file.path(), std::ios::binary);
        Entry entry{};
        for (std::uint64_t i = 0; stream.read(reinterpret_cast<char*>(&entry), sizeof entry); ++i) {
            known[prefix + std::to_string(i)] = {entry.payload_hash, entry.fate};
        }
    }
    return known;
}

}  // namespace

JournalWriter::JournalWriter(const std::filesystem::path& directory, std::uint64_t run,
                             std::uint32_t thread)
    : prefix_(std::to_string(run) + "-" + std::to_string(thread)) {
    std::filesystem::create_directories(directory);
    file_ = ::open((directory / prefix_).c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (file_ < 0) throw std::runtime_error("cannot create the journal " + prefix_);
}

JournalWriter::~JournalWriter() {
    ::close(file_);
}

std::string JournalWriter::begin(std::uint64_t payload_hash) {
    const Entry entry{payload_hash, Fate::unknown, {}};
    const auto at = static_cast<off_t>(count_ * sizeof entry);
    if (::pwrite(file_, &entry, sizeof entry, at) != sizeof entry) {
        throw std::runtime_error("cannot write the journal");
    }
    return prefix_ + ":" + std::to_string(count_);
}

void JournalWriter::end(Fate fate) {
    const auto at = static_cast<off_t>(count_ * sizeof(Entry) + offsetof(Entry, fate));
    if (::pwrite(file_, &fate, sizeof fate, at) != sizeof fate) {
        throw std::runtime_error("cannot write the journal");
    }
    ++count_;
}

std::uint64_t hash_of(std::string_view payload) {
    std::uint64_t hash = 0xcbf29ce484222325;
    for (const char c : payload) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
    return hash;
}

Verdict judge(const std::filesystem::path& directory, const std::vector<FoundRow>& rows,
              const std::vector<std::string>& dead_keys) {
    auto known = read_journals(directory);
    Verdict verdict;
    verdict.rows = rows.size();
    for (const FoundRow& row : rows) {
        const auto found = known.find(row.key);
        if (found == known.end() || found->second.fate == Fate::refused) {
            name(verdict.invented, row.key);
            continue;
        }
        if (++found->second.rows == 2) name(verdict.doubled, row.key);
        if (found->second.payload_hash != row.payload_hash) name(verdict.altered, row.key);
    }
    for (const std::string& key : dead_keys) {
        if (const auto found = known.find(key); found != known.end()) ++found->second.rows;
    }
    for (const auto& [key, event] : known) {
        if (event.fate == Fate::accepted) ++verdict.accepted;
        if (event.fate == Fate::refused) ++verdict.refused;
        if (event.fate == Fate::unknown) ++verdict.unknown;
        if (event.fate != Fate::accepted || event.rows != 0) continue;
        ++verdict.lost_count;
        name(verdict.lost, key);
    }
    return verdict;
}

std::string Verdict::to_string() const {
    std::ostringstream text;
    text << "accepted=" << accepted << " refused=" << refused << " unknown=" << unknown
         << " rows=" << rows;
    const std::pair<const char*, const std::vector<std::string>*> lists[] = {
        {"lost", &lost}, {"doubled", &doubled}, {"altered", &altered}, {"invented", &invented}};
    for (const auto& [what, keys] : lists) {
        text << " " << what << "=" << (keys->size() < kNamedMax ? "" : ">=") << keys->size();
        for (const std::string& key : *keys) text << " " << key;
    }
    return text.str();
}

}  // namespace homeward::testing
