#pragma once

// An adapter for an HTTP library that we do not know; publisher/replay/README.md shows it, and
// tests/publisher/replay/own_adapter_test.cpp sees that it is the same text, and works.

#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include <homeward/replay/request_handler.hpp>

namespace own {

using namespace homeward::replay;

/// What the library calls them: any library has these in some shape.
struct Request {
    std::string method;
    std::string path;
    std::map<std::string, std::string> headers;  ///< names in lower case
    std::string body;
};
struct Response {
    int status = 200;
    std::vector<std::pair<std::string, std::string>> headers;
    std::string body;
};
using Handler = std::function<void(const Request&, Response&, HandlerResult&)>;

class OwnReplay {
  public:
    explicit OwnReplay(const RequestHandler& request_handler) : request_handler_(request_handler) {}

    /// Header read, body not: true means send `response`, then close the connection.
    bool refuse(const Request& request, Response& response) const {
        const auto answer = request_handler_.refuse_unread(view_of(request));
        if (answer) response = {answer->status, answer->headers, answer->body};
        return answer.has_value();
    }

    /// Body read. What the handler throws and no replay mends comes out.
    void serve(const Request& request, Response& response, const Handler& handler) const {
        const Outcome outcome = request_handler_.run(
            view_of(request), [&](HandlerResult& result) { handler(request, response, result); });
        if (const auto& answer = outcome.instead) {  // nothing of the half-done response stays
            response = {answer->status, answer->headers, answer->body};
        } else {
            for (const auto& header : outcome.headers) response.headers.push_back(header);
        }
    }

  private:
    static RequestView view_of(const Request& request) {
        return {request.method, request.path, request.body.size(), [&](std::string_view name) {
                    const auto found = request.headers.find(std::string(name));
                    return found == request.headers.end() ? "" : found->second;
                }};
    }

    const RequestHandler& request_handler_;
};

}  // namespace own
