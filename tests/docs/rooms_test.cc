// The map of docs/architecture.md against src/CMakeLists.txt.
#include <gtest/gtest.h>

#include <fstream>
#include <string>
#include <vector>

namespace ringside::testing {
namespace {

// What stands between `start` and `end` in each line that begins with `start`, in order.
std::vector<std::string> after(const std::string& path, const std::string& start,
                               const std::string& end) {
  std::ifstream file(std::string(RINGSIDE_SOURCE) + path);
  std::vector<std::string> found;
  for (std::string line; std::getline(file, line);) {
    if (line.rfind(start, 0) != 0) continue;
    const std::string rest = line.substr(start.size());
    found.push_back(rest.substr(0, rest.find_first_of(end)));
  }
  return found;
}

TEST(Rooms, AreOnTheMapInTheirOrder) {
  const std::vector<std::string> rooms = after("/src/CMakeLists.txt", "ringside_room(", " )");
  EXPECT_GT(rooms.size(), 30u);
  std::vector<std::string> map = after("/docs/architecture.md", "| `src/", "`");
  // The walks begin with files.
  std::erase_if(map, [](const std::string& name) { return name.find('.') != name.npos; });
  EXPECT_EQ(map, rooms);
}

}  // namespace
}  // namespace ringside::testing
