#include "schemas/types/schema_document.hpp"

#include <iterator>
#include <memory>

#include "schemas/types/event_type.hpp"

namespace homeward {
namespace {

/// A schema nests: document, properties, field, items, x-homeward. Deeper is a mistake or an
/// attack.
constexpr std::size_t kDepthMax = 32;

/// Walks over text and counts line ends. Copies share the count, as the parser copies iterators.
class LineIterator {
  public:
    using iterator_category = std::input_iterator_tag;
    using value_type = char;
    using difference_type = std::ptrdiff_t;
    using pointer = const char*;
    using reference = const char&;

    LineIterator(const char* at, std::size_t* line) : at_(at), line_(line) {}
    reference operator*() const { return *at_; }
    LineIterator& operator++() {
        if (*at_ == '\n') ++*line_;
        ++at_;
        return *this;
    }
    LineIterator operator++(int) {
        LineIterator before = *this;
        ++*this;
        return before;
    }
    bool operator==(const LineIterator& other) const { return at_ == other.at_; }
    bool operator!=(const LineIterator& other) const { return at_ != other.at_; }

  private:
    const char* at_;
    std::size_t* line_;
};

/// Receives the parser's events and builds the tree.
class TreeBuilder : public nlohmann::json_sax<nlohmann::json> {
  public:
    TreeBuilder(std::string_view file_name, const std::size_t* line)
        : file_name_(file_name), line_(line) {}

    bool null() override { return add(scalar(nullptr)); }
    bool boolean(bool value) override { return add(scalar(value)); }
    bool number_integer(number_integer_t value) override { return add(scalar(value)); }
    bool number_unsigned(number_unsigned_t value) override { return add(scalar(value)); }
    bool number_float(number_float_t value, const string_t&) override { return add(scalar(value)); }
    bool string(string_t& value) override { return add(scalar(value)); }
    bool binary(binary_t&) override { return false; }

    bool start_object(std::size_t) override { return open(SchemaNode::Kind::object); }
    bool start_array(std::size_t) override { return open(SchemaNode::Kind::array); }
    bool end_object() override { return close(); }
    bool end_array() override { return close(); }

    bool key(string_t& name) override {
        SchemaNode& object = open_.back().node;
        if (object.find(name) != nullptr) {
            refuse_schema(file_name_, *line_, "duplicate key \"" + name + "\"");
        }
        open_.back().key = name;
        open_.back().key_line = *line_;
        return true;
    }

    bool parse_error(std::size_t, const std::string&,
                     const nlohmann::json::exception& error) override {
        refuse_schema(file_name_, *line_, std::string("not JSON: ") + error.what());
    }

    SchemaNode take_root() { return std::move(root_); }

  private:
    struct Open {
        SchemaNode node;
        std::string key;
        std::size_t key_line = 0;
    };

    SchemaNode scalar(nlohmann::json value) const {
        SchemaNode node;
        node.line = *line_;
        node.scalar = std::move(value);
        return node;
    }
    bool open(SchemaNode::Kind kind) {
        if (open_.size() >= kDepthMax) refuse_schema(file_name_, *line_, "nested too deeply");
        Open opened;
        opened.node.kind = kind;
        opened.node.line = *line_;
        open_.push_back(std::move(opened));
        return true;
    }
    bool close() {
        SchemaNode node = std::move(open_.back().node);
        open_.pop_back();
        return add(std::move(node));
    }
    bool add(SchemaNode node) {
        if (open_.empty()) {
            root_ = std::move(node);
        } else if (Open& parent = open_.back(); parent.node.kind == SchemaNode::Kind::object) {
            parent.node.members.push_back({parent.key, parent.key_line, std::move(node)});
        } else {
            parent.node.elements.push_back(std::move(node));
        }
        return true;
    }

    std::string_view file_name_;
    const std::size_t* line_;
    std::vector<Open> open_;
    SchemaNode root_;
};

}  // namespace

const SchemaNode::Member* SchemaNode::find(std::string_view key) const {
    for (const Member& member : members) {
        if (member.key == key) return &member;
    }
    return nullptr;
}

void refuse_schema(std::string_view file_name, std::size_t line, std::string_view what) {
    throw SchemaError(
        std::string(file_name).append(":").append(std::to_string(line)).append(": ").append(what));
}

SchemaNode read_schema_document(std::string_view json_text, std::string_view file_name) {
    std::size_t line = 1;
    TreeBuilder builder(file_name, &line);
    nlohmann::json::sax_parse(LineIterator(json_text.data(), &line),
                              LineIterator(json_text.data() + json_text.size(), &line), &builder);
    return builder.take_root();
}

}  // namespace homeward
