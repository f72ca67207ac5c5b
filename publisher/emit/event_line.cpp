#include "publisher/emit/event_line.hpp"

#include <algorithm>

#include <nlohmann/json.hpp>

namespace homeward {
namespace {

/// Finds the "type" of the outermost object, without building the rest.
class TypeFinder : public nlohmann::json_sax<nlohmann::json> {
  public:
    bool is_object = false;
    std::string type;

    bool null() override { return scalar(); }
    bool boolean(bool) override { return scalar(); }
    bool number_integer(number_integer_t) override { return scalar(); }
    bool number_unsigned(number_unsigned_t) override { return scalar(); }
    bool number_float(number_float_t, const string_t&) override { return scalar(); }
    bool binary(binary_t&) override { return scalar(); }
    bool string(string_t& text) override {
        if (depth_ == 1 && is_type_) type = text;
        return scalar();
    }
    bool start_object(std::size_t) override {
        is_object = is_object || depth_ == 0;
        return open();
    }
    bool start_array(std::size_t) override { return open(); }
    bool end_object() override { return close(); }
    bool end_array() override { return close(); }
    bool key(string_t& name) override {
        if (depth_ == 1) is_type_ = name == "type";
        return true;
    }
    bool parse_error(std::size_t, const std::string&, const nlohmann::json::exception&) override {
        return false;
    }

  private:
    bool scalar() {
        is_type_ = is_type_ && depth_ > 1;
        return true;
    }
    bool open() {
        ++depth_;
        return true;
    }
    bool close() {
        --depth_;
        return scalar();
    }

    int depth_ = 0;
    bool is_type_ = false;
};

}  // namespace

bool is_blank(std::string_view line) {
    return line.find_first_not_of(" \t\r") == std::string_view::npos;
}

EventLine read_event_line(std::string_view line, const std::string& type) {
    TypeFinder found;
    if (!nlohmann::json::sax_parse(line, &found) || !found.is_object) {
        return {"", "not a JSON object on one line"};
    }
    if (!type.empty()) return {type, ""};
    if (found.type.empty()) return {"", "it has no type"};
    return {found.type, ""};
}

EventClass class_of(const EmitCommand& command, const std::string& type) {
    if (command.event_class) return *command.event_class;
    const auto& metrics = command.metric_types;
    const bool is_metric = std::find(metrics.begin(), metrics.end(), type) != metrics.end();
    return is_metric ? EventClass::metric : EventClass::audit;
}

}  // namespace homeward
