"""Views: a sample goes in, a table comes out. A view never knows where its sample is from."""
