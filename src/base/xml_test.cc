#include "base/xml.h"

#include <gtest/gtest.h>

namespace ringside {
namespace {

// XML 1.0, 2.4: "]]>" must not be in text.
TEST(Xml, WhatMeansSomethingIsWrittenOut) {
  EXPECT_EQ(xml_text("a<b>&\"]]>\n"), "a&lt;b&gt;&amp;&quot;]]&gt; ");
}

}  // namespace
}  // namespace ringside
